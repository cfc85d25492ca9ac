//! Texts of a leaf: each has a largest size that its type says, so that no leaf is ever too large to be written (P13).
//!
//! INVARIANT: at most `MAX` bytes, and nothing that a database or a terminal would take for something else. What is longer is
//! cut, and says so by its last character; where that would change what is meant, the border refuses it before.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Text of at most `MAX` bytes without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bounded<const MAX: usize>(String);

/// Name of a tool.
pub type ToolName = Bounded<80>;

/// A digest as text, whatever its algorithm; also a session's.
pub type Hex = Bounded<128>;

/// Name of a thing of ours or of the operator's: a provider, an issuer, a policy, a limit.
pub type Name = Bounded<256>;

/// What stands for what was cut off.
const CUT: char = '…';

impl<const MAX: usize> Bounded<MAX> {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(text: &str) -> Self {
        let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        let mut kept = String::with_capacity(text.len().min(MAX));
        for c in text.chars().map(clean) {
            if kept.len() + c.len_utf8() > MAX {
                while kept.len() + CUT.len_utf8() > MAX {
                    kept.pop();
                }
                kept.push(CUT);
                break;
            }
            kept.push(c);
        }
        Self(kept)
    }
}

impl<const MAX: usize> From<&str> for Bounded<MAX> {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

impl<const MAX: usize> From<String> for Bounded<MAX> {
    fn from(text: String) -> Self {
        let is_plain = text.len() <= MAX && !text.chars().any(char::is_control);
        if is_plain { Self(text) } else { Self::of(&text) }
    }
}

impl<const MAX: usize> From<Bounded<MAX>> for String {
    fn from(text: Bounded<MAX>) -> Self {
        text.0
    }
}

impl<const MAX: usize> Deref for Bounded<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> PartialEq<str> for Bounded<MAX> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl<const MAX: usize> PartialEq<&str> for Bounded<MAX> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<const MAX: usize> PartialEq<String> for Bounded<MAX> {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

impl<const MAX: usize> fmt::Display for Bounded<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> PartialEq<Bounded<MAX>> for String {
    fn eq(&self, other: &Bounded<MAX>) -> bool {
        *self == other.0
    }
}
