//! What can be wrong with an issuer, told apart: that it cannot be reached, that it answers what nobody can use, and which of
//! the checks what it says did not stand.

use openidconnect::core::CoreErrorResponseType;
use openidconnect::{ClaimsVerificationError, DiscoveryError, RequestTokenError, StandardErrorResponse};

use super::token::Unbelieved;
use crate::core::scrub::ScrubbedText;
use crate::outbound::OutboundError;

/// An issuer that is of no use now.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IssuerError {
    /// It cannot be reached, or does not answer in time.
    #[error("{0}")]
    Unreached(String),
    /// It answers, with what nobody can use.
    #[error("{}: {detail}", .at.as_str())]
    Misanswered {
        /// Where it was asked.
        at: Place,
        /// What is wrong with the answer.
        detail: String,
    },
    /// It gave no token for the code.
    #[error("{0}")]
    NoToken(String),
    /// What it gave is not believed.
    #[error("{}: {detail}", .check.as_str())]
    Untrue {
        /// Which check it did not stand.
        check: Check,
        /// What was found.
        detail: String,
    },
}

/// Where an issuer is asked something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What it publishes about itself, with its keys.
    Metadata,
    /// For a token.
    Token,
    /// For what it knows of a person.
    UserInfo,
}

impl Place {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "its metadata",
            Self::Token => "its token endpoint",
            Self::UserInfo => "its user info endpoint",
        }
    }

    /// The error of a request there that was not answered as it has to be.
    pub(super) fn unanswered(self, error: &OutboundError) -> IssuerError {
        match error {
            OutboundError::Unreached(_) | OutboundError::Late | OutboundError::Tls(_) => {
                IssuerError::Unreached(error_chain(error))
            }
            OutboundError::PlainHttp(_) | OutboundError::NotPublic(_) | OutboundError::Broken { .. } => {
                self.misanswered(error_chain(error))
            }
        }
    }

    /// An answer that nobody can use.
    pub(super) fn misanswered(self, detail: impl Into<String>) -> IssuerError {
        IssuerError::Misanswered { at: self, detail: detail.into() }
    }
}

/// A check that what an issuer says has to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It is a token, with what a token needs.
    Form,
    /// It is signed with a key that the issuer publishes.
    Signature,
    /// It is that issuer's (`iss`).
    Issuer,
    /// It is for us alone (`aud`, `azp`).
    Audience,
    /// Its time is not over (`exp`).
    Expiry,
    /// It was made for this attempt, by the clock (`iat`).
    IssueTime,
    /// It was made for this attempt (`nonce`).
    Nonce,
    /// All of it is about one person (`sub`).
    Subject,
    /// The browser was sent back by that issuer (RFC 9207).
    Sender,
}

impl Check {
    /// As the log has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expiry => "expiry",
            Self::IssueTime => "issue_time",
            Self::Nonce => "nonce",
            Self::Subject => "subject",
            Self::Sender => "sender",
        }
    }

    /// What is wrong, in words for a page.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Form => "its token lacks something that a token needs, or has it in a form that is none",
            Self::Signature => "its token is not signed with a key that it publishes",
            Self::Issuer => "its token names another issuer",
            Self::Audience => "its token is for another client, or not for this one alone",
            Self::Expiry => "the time of its token is over",
            Self::IssueTime => "its token was not issued just now; one of the two clocks may be wrong",
            Self::Nonce => "its token is for another attempt to sign in",
            Self::Subject => "what it says is not all about one person",
            Self::Sender => "it did not say that it sent the browser back, or somebody else did",
        }
    }

    /// What was found.
    pub(super) fn failed(self, detail: impl Into<String>) -> IssuerError {
        IssuerError::Untrue { check: self, detail: detail.into() }
    }
}

/// What is said of a token that was not issued for this attempt; the library calls it expired.
pub(super) const NOT_NOW: &str = "it was not issued for this attempt";

impl From<Unbelieved> for IssuerError {
    fn from(error: Unbelieved) -> Self {
        let check = match &error {
            Unbelieved::Malformed(_) => Check::Form,
            Unbelieved::Wrong(error) => match error {
                ClaimsVerificationError::Expired(text) if text == NOT_NOW => Check::IssueTime,
                ClaimsVerificationError::Expired(_) => Check::Expiry,
                ClaimsVerificationError::InvalidAudience(_) => Check::Audience,
                ClaimsVerificationError::InvalidIssuer(_) => Check::Issuer,
                ClaimsVerificationError::InvalidNonce(_) => Check::Nonce,
                ClaimsVerificationError::InvalidSubject(_) => Check::Subject,
                ClaimsVerificationError::SignatureVerification(_) => Check::Signature,
                _ => Check::Form,
            },
        };
        check.failed(error_chain(&error))
    }
}

/// What came of asking for metadata.
pub(super) fn of_discovery(error: &DiscoveryError<OutboundError>) -> IssuerError {
    match error {
        DiscoveryError::Request(error) => Place::Metadata.unanswered(error),
        other => Place::Metadata.misanswered(error_chain(other)),
    }
}

/// What came of asking for a token.
pub(super) fn of_exchange(error: &RequestTokenError<OutboundError, StandardErrorResponse<CoreErrorResponseType>>) -> IssuerError {
    match error {
        RequestTokenError::Request(error) => Place::Token.unanswered(error),
        RequestTokenError::ServerResponse(_) => IssuerError::NoToken(error_chain(error)),
        other => Place::Token.misanswered(error_chain(other)),
    }
}

/// Longest text of what is wrong, in characters: an issuer puts into it what it likes.
const DETAIL: usize = 300;

/// An error with what it comes from.
pub(super) fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let text = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // Scrubbed before it is cut: of a secret that is cut in two nobody knows the head for one.
    ScrubbedText::of(&text).cut(DETAIL).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_issuer_says_is_scrubbed_before_it_is_cut() {
        let token = format!("ghp_{}", "a1B2c3D4e5F6".repeat(3));
        for before in [DETAIL - 30, DETAIL - 12, DETAIL - 8] {
            let error = std::io::Error::other(format!("{} {token}", "x".repeat(before)));
            let said = error_chain(&error);
            assert!(said.chars().count() <= DETAIL && !said.contains("ghp_a"), "{said}");
        }
    }
}
