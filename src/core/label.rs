//! Names that people give things and type again: labels of VMs, names of accounts.
//!
//! INVARIANT: what looks the same is the same text: without space around it, in NFC (a keyboard of macOS writes ü as two
//! signs, one of Linux as one), each space inside one plain space, and nothing in it that is not seen. Capitals are kept, and
//! tell two names apart.

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

use super::visible::is_hidden;

/// Longest, in characters.
pub const MAX_LENGTH: usize = 64;

/// A text that is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 … 64 letters, digits and signs that can be seen")]
pub struct LabelError;

/// A name in its one form.
pub fn canonical(text: &str) -> Result<String, LabelError> {
    if text.len() > MAX_LENGTH * 16 {
        return Err(LabelError);
    }
    let words: Vec<&str> = text.split(char::is_whitespace).filter(|word| !word.is_empty()).collect();
    let name: String = words.join(" ").nfc().collect();
    let fits = (1..=MAX_LENGTH).contains(&name.chars().count()) && !name.chars().any(is_hidden);
    if fits { Ok(name) } else { Err(LabelError) }
}

/// Whether a reader would take one name for the other, because its letters look like those of another script (UTS 39).
#[must_use]
pub fn looks_like(one: &str, other: &str) -> bool {
    skeleton(one).eq(skeleton(other))
}

#[cfg(test)]
mod tests {
    use super::looks_like;

    #[test]
    fn names_that_a_reader_takes_for_each_other_look_alike() {
        for (one, other) in [("Acme Ltd", "\u{410}cme Ltd"), ("\u{440}\u{430}\u{443}", "pay"), ("Acme", "Acme")] {
            assert!(looks_like(one, other), "{one} and {other}");
        }
        assert!(!looks_like("Acme Ltd", "ACME LTD") && !looks_like("Acme 2", "Acme 3"));
    }
}
