//! From a request to a principal: the bearer token of the `Authorization` header, and nothing else.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::Http;
use super::bearer::bearer;
use super::body_budget::BodyOwner;
use super::ingress::ClientAddress;
use super::problem::Problem;
use super::recheck::Reader;
use super::url_text;
use crate::auth::AuthError;
use crate::core::code::Code;
use crate::core::lineage::is_revoked;
use crate::core::principal::{Principal, Via};
use crate::core::refusal::Refusal;
use crate::core::scrub::ScrubbedText;

/// An authenticated caller of the REST API.
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// What the client says it is.
    pub user_agent: Option<String>,
    /// The key by which the request may be repeated.
    pub key: KeyHeader,
    /// What is wrong with the address of a call. It is recorded all the same.
    pub fault: Option<Problem>,
}

/// Marks a request whose key is revoked: nobody reads its body, and what was asked for is counted all the same.
#[derive(Clone, Copy)]
pub struct Revoked;

/// What the `Idempotency-Key` header holds.
pub enum KeyHeader {
    /// There is none.
    Absent,
    /// One text.
    Given(String),
    /// Something else.
    Unreadable,
}

impl KeyHeader {
    /// Reads it.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all("idempotency-key").iter();
        match (values.next().map(|value| value.to_str()), values.next()) {
            (None, _) => Self::Absent,
            (Some(Ok(text)), None) if !text.is_empty() => Self::Given(text.to_owned()),
            _ => Self::Unreadable,
        }
    }
}

impl FromRequestParts<Arc<Http>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, Problem> {
        let principal = authenticate(http, parts, Via::Rest, false).await?;
        Reader::note(parts, &principal);
        parts.extensions.insert(BodyOwner::known(&principal, parts));
        if is_revoked(&http.gateway.state(), &principal.credential) {
            parts.extensions.insert(Revoked);
        }
        Ok(Self {
            principal,
            user_agent: user_agent(&parts.headers),
            key: KeyHeader::of(&parts.headers),
            fault: address_fault(parts),
        })
    }
}

/// What changes something takes its arguments in its path and its body; who reads has filters, which say themselves what they know.
fn address_fault(parts: &Parts) -> Option<Problem> {
    if parts.method.is_safe() {
        return None;
    }
    let has_query = parts.uri.query().is_some_and(|query| !query.is_empty());
    let not_taken = || Problem::malformed("This path takes no query; arguments are in the body.");
    url_text::fault(&parts.uri).or_else(|| has_query.then(not_taken))
}

/// The principal behind a request.
pub async fn authenticate(http: &Http, parts: &Parts, via: Via, read_only: bool) -> Result<Principal, Problem> {
    let found = match bearer(&parts.headers) {
        Ok(token) => http.authenticator.authenticate(token, via, address(parts), read_only).await,
        Err(problem) => {
            http.gateway.counts().unauthenticated();
            return Err(problem);
        }
    };
    found.map_err(|error| match error {
        AuthError::Unauthenticated => {
            http.gateway.counts().unauthenticated();
            Problem::unauthenticated("The key is not known.").challenged("Bearer error=\"invalid_token\"".into())
        }
        AuthError::Unavailable(_) => {
            tracing::error!(%error, "a key could not be looked up");
            Refusal::new(Code::AuditUnavailable, "The key cannot be looked up now.").into()
        }
    })
}

fn address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ClientAddress>().and_then(|address| address.0)
}

/// Longest name of a client that is kept, in characters.
const LONGEST_NAME: usize = 256;

/// What the client says it is, in whatever encoding, scrubbed before it is cut; never used to decide.
pub fn user_agent(headers: &HeaderMap) -> Option<String> {
    let said = headers.get(header::USER_AGENT)?;
    Some(ScrubbedText::of(&String::from_utf8_lossy(said.as_bytes())).cut(LONGEST_NAME).into())
}
