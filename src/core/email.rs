//! E-mail addresses in one canonical form, so that one address is one text everywhere.
//!
//! The domain is lower case and in ASCII (IDNA, without the final dot). The local part is in NFC and lower case: the standard
//! lets a server tell `Ann@` from `ann@`, but none hands both out, and two people who differ by capitals alone are an attack
//! or a slip. A local part that looks like another one is refused: in compatibility letters (full width, ligatures), with
//! characters that are not seen, with letters that Unicode does not recommend for names, of two scripts at once, or of another
//! script than Latin with nothing in it that Latin has not (UTS 39).
//!
//! INVARIANT: there is no other text for an address: what [`EmailAddress`] holds, it parses to itself.

use std::fmt;
use std::str::FromStr;

use idna::AsciiDenyList;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_script::{Script, UnicodeScript};
use unicode_security::{GeneralSecurityProfile, MixedScript, skeleton};

use super::visible::is_hidden;

/// Longest address in bytes (RFC 5321: 256 with its angle brackets).
pub const MAX_LENGTH: usize = 254;

/// Longest local part in bytes (RFC 5321).
const LOCAL: usize = 64;

/// An e-mail address in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// A text that is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EmailAddressError(&'static str);

impl EmailAddress {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain, lower case and in ASCII.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = EmailAddressError;

    fn from_str(text: &str) -> Result<Self, EmailAddressError> {
        let text = text.trim();
        // Canonical forms differ little in length from what was typed; nothing endless is normalized.
        if text.len() > MAX_LENGTH * 4 {
            return Err(TOO_LONG);
        }
        // In a domain such a character is nothing, by IDNA: two texts would be one address.
        if text.chars().any(is_hidden) {
            return Err(EmailAddressError("an e-mail address has no characters that are not seen"));
        }
        let (local, domain) =
            text.rsplit_once('@').ok_or(EmailAddressError("an e-mail address has one @, as in ann@example.com"))?;
        let address = format!("{}@{}", canonical_local(local)?, canonical_domain(domain)?);
        if address.len() > MAX_LENGTH { Err(TOO_LONG) } else { Ok(Self(address)) }
    }
}

const TOO_LONG: EmailAddressError = EmailAddressError("an e-mail address has at most 254 bytes, and 64 of them before the @");

fn canonical_local(text: &str) -> Result<String, EmailAddressError> {
    let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '@' | '"' | '(' | ')' | '<' | '>' | ',' | ';' | ':' | '\\');
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err(EmailAddressError(
            "an e-mail address has letters, digits and signs before the @, unquoted and without spaces",
        ));
    }
    // Such as the sign of Kelvin, which NFC takes for a K: its owner would be another one.
    if text.chars().any(|c| std::iter::once(c).nfc().ne(std::iter::once(c))) {
        return Err(EmailAddressError("the part before the @ has letters that look like others; write it in plain ones"));
    }
    let folded: String = text.nfc().collect::<String>().to_lowercase().nfc().collect();
    if folded.nfkc().ne(folded.chars()) {
        return Err(EmailAddressError("the part before the @ has letters that look like others; write it in plain ones"));
    }
    if looks_like_another(&folded) {
        return Err(EmailAddressError("the part before the @ has letters of two scripts, or such as look like those of another"));
    }
    if folded.len() > LOCAL { Err(TOO_LONG) } else { Ok(folded) }
}

/// Whether a reader would take it for another one.
fn looks_like_another(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let is_odd = |c: char| !c.is_ascii() && !c.identifier_allowed();
    let is_latin = text.chars().any(|c| c.script() == Script::Latin);
    text.chars().any(is_odd) || !text.is_single_script() || (!is_latin && skeleton(text).all(|c| c.is_ascii()))
}

fn canonical_domain(text: &str) -> Result<String, EmailAddressError> {
    let wrong = EmailAddressError("an e-mail address has a domain after the @, as in ann@example.com");
    let ascii = idna::domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::STD3).map_err(|_| wrong)?;
    let domain = ascii.strip_suffix('.').unwrap_or(&ascii);
    let is_label = |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    if domain.split('.').all(is_label) { Ok(domain.to_owned()) } else { Err(wrong) }
}

/// Whether a text is a domain as [`EmailAddress::domain`] has it; what is written otherwise would never be found equal.
#[must_use]
pub fn is_domain(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_LENGTH && canonical_domain(text).is_ok_and(|domain| domain == text)
}

impl TryFrom<String> for EmailAddress {
    type Error = EmailAddressError;
    fn try_from(text: String) -> Result<Self, EmailAddressError> {
        text.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
