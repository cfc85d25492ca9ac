//! Whether a value is a secret: how much that takes is up to what it is called and how it is given.
//!
//! INVARIANT: what is weighed is a value without the marks in it, and a value that is no secret is none without a part of it
//! either: so a text that was scrubbed is weighed as it was before.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::names::Named;

/// Beyond this length nothing is weighed: it is a secret.
pub(super) const WEIGHED: usize = 256;

/// What is written for a password that is none.
const NO_PASSWORD: &[&[u8]] = &[
    b"true",
    b"false",
    b"null",
    b"none",
    b"required",
    b"prompt",
    b"stdin",
    b"undefined",
    b"string",
    b"never",
    b"optional",
    b"enabled",
    b"disabled",
    b"empty",
    b"unset",
    b"always",
    b"nil",
    b"redacted",
    b"hidden",
    b"********",
];

/// How much it takes for a value to be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// What stands there is one, whatever it is.
    Any,
    /// It is given: after a `=`, in quotes.
    Given,
    /// It stands in a sentence as well.
    Said,
}

/// Whether `value` is what a name of this kind is given in secret, in quotes or not; `goes_on` if that is not all of it.
pub(super) fn is_secret(value: &[u8], quoted: bool, goes_on: bool, kind: Named, weight: Weight) -> bool {
    if value.iter().all(u8::is_ascii_whitespace) {
        return false;
    }
    if value.len() >= WEIGHED || goes_on {
        return true;
    }
    if NO_PASSWORD.iter().any(|none| value.eq_ignore_ascii_case(none)) || is_masked(value) {
        return false;
    }
    match (kind, weight) {
        (Named::Header, _) | (_, Weight::Any) => true,
        (Named::Auth, _) => is_pair(value) || (quoted && value.len() >= 16 && is_mixed(value) && !value.contains(&b' ')),
        (Named::Password, Weight::Given) => value.len() >= 4,
        (Named::Password, Weight::Said) => value.len() >= 6 && !is_word(value),
        (Named::Key, Weight::Given) => value.len() >= 4 && (is_mixed(value) || !is_path(value)),
        (Named::Key | Named::Bot, _) => {
            value.len() >= 8 && is_mixed(value) || quoted && value.len() >= 20 && !value.contains(&b' ') && !is_path(value)
        }
    }
}

/// Whether it is a word as any other: letters, in no strange order of large and small, and no more than words have.
fn is_word(value: &[u8]) -> bool {
    let rest = value.get(1..).unwrap_or_default();
    let even = rest.iter().all(u8::is_ascii_lowercase) || value.iter().all(u8::is_ascii_uppercase);
    value.iter().all(u8::is_ascii_alphabetic) && even && value.len() < 16
}

/// Whether it is where a file lies.
fn is_path(value: &[u8]) -> bool {
    value.starts_with(b"/") || value.starts_with(b"./") || value.starts_with(b"~/") || value.starts_with(b"file:")
}

/// Whether it begins with a user and his password in base 64: as far as whole groups of that go, there is a `:` after a name.
pub(super) fn is_pair(value: &[u8]) -> bool {
    let is_in = |form: &GeneralPurpose, signs: &[u8]| {
        let length = value.iter().take_while(|byte| byte.is_ascii_alphanumeric() || signs.contains(byte)).count();
        let plain = value.get(..length - length % 4).and_then(|whole| form.decode(whole).ok()).unwrap_or_default();
        let name = plain.iter().take_while(|byte| **byte != b':' && (byte.is_ascii_graphic() || **byte == b' ')).count();
        plain.get(name) == Some(&b':')
    };
    value.len() >= 8 && (is_in(&STANDARD_NO_PAD, b"+/") || is_in(&URL_SAFE_NO_PAD, b"-_"))
}

/// Whether there is nothing but stars.
pub(super) fn is_masked(value: &[u8]) -> bool {
    let after = value.iter().find(|byte| **byte != b'*');
    value.starts_with(b"***") && after.is_none_or(|byte| !byte.is_ascii_graphic() || b"\"'@,;&)}".contains(byte))
}

/// Whether there are letters and digits.
pub(super) fn is_mixed(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
}
