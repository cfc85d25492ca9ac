//! What a provider, its processes and its guests say of a failure, as it may be handed on.
//!
//! INVARIANT: a [`ProviderText`] is short, is scrubbed, and shows all that is in it. Whoever has root in a guest words its agent's
//! errors, and they end up in answers, log lines and records.

use std::fmt;

use crate::core::scrub::{AROUND, scrub_piece, scrub_text};
use crate::core::visible::escape_hidden;

/// Longest text, in characters.
pub const MAX_LENGTH: usize = 500;

/// One bounded, scrubbed line of text.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderText(String);

impl ProviderText {
    /// `text` as one line, without secrets, and no longer than [`MAX_LENGTH`]: what is longer keeps its beginning.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        // What comes later can only matter to a secret that begins in the part that is kept.
        let clean = if text.len() <= AROUND {
            scrub_text(text)
        } else {
            let window = text.as_bytes().get(..AROUND).unwrap_or_default();
            scrub_piece(window, 0..4 * MAX_LENGTH, false).as_str().to_owned()
        };
        let line = escape_hidden(&clean.split_whitespace().collect::<Vec<_>>().join(" "));
        match line.char_indices().nth(MAX_LENGTH) {
            None => Self(line),
            Some(_) => Self(line.chars().take(MAX_LENGTH - 1).chain(['…']).collect()),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ProviderText {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

impl From<String> for ProviderText {
    fn from(text: String) -> Self {
        Self::of(&text)
    }
}

impl PartialEq<&str> for ProviderText {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for ProviderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProviderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_bounded_in_one_line_and_shows_what_is_in_it() {
        assert_eq!(ProviderText::of(" off \r\n now\u{1b}[31m "), "off now\\u{1b}[31m");
        for length in [MAX_LENGTH, MAX_LENGTH + 1, AROUND, AROUND + 1, 4 << 20] {
            for letter in ["x", "ä", "x ", "\u{1}"] {
                let said = ProviderText::of(&letter.repeat(length / letter.len()));
                assert!(said.as_str().chars().count() <= MAX_LENGTH, "{length} of {letter:?}");
            }
        }
    }

    #[test]
    fn secrets_are_gone_whole_or_cut() {
        let secret = "postgres://forelog:hunter2hunter2@db.example/forelog";
        for before in [0, MAX_LENGTH - 20, AROUND, 3 << 20] {
            let said = ProviderText::of(&format!("{}cannot reach {secret}{}", "x ".repeat(before / 2), " y".repeat(before)));
            assert!(!said.as_str().contains("hunter2"), "{said}");
        }
    }
}
