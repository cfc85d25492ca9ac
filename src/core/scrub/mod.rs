//! Secrets in text that somebody wrote, a person or a program, are taken out before it is recorded (P10).
//!
//! INVARIANT: what is recorded is a [`Scrubbed`] or a [`ScrubbedText`], and neither can be made but by scrubbing. Text is
//! scrubbed before it is cut; what was cut before it came here is scrubbed with what stood around it ([`scrub_piece`]).
//! Scrubbing twice is scrubbing once, and its work grows with the text and no faster.

mod block;
mod command;
mod commands;
mod document;
mod files;
pub mod find;
mod finder;
mod form;
mod hash;
mod markup;
mod named;
mod names;
mod said;
mod sql;
mod text;
mod url;
mod value;
mod weigh;
mod words;
mod yaml;

use std::ops::Range;

use serde::Serialize;
use serde_json::Value;

use self::find::{Edges, secrets};
#[cfg(feature = "testing")]
pub use self::finder::MARK;
use self::text::replaced;
pub use self::text::scrub_text;
use super::shorten_document::shorten_document;

/// How far around a piece of an output its secrets are looked for. What is longer without a break counts as one.
pub const AROUND: usize = 32 * 1024;

/// A document that is going to be recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrubbed(Value);

impl Scrubbed {
    /// `document` with every text in it scrubbed, names of fields too.
    #[must_use]
    pub fn of(document: Value) -> Self {
        Self(document::scrub(document))
    }

    /// The same, no longer than `most` bytes as it is stored: long texts by their ends.
    #[must_use]
    pub fn shortened(self, most: usize) -> Self {
        Self(shorten_document(self.0, most))
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.0
    }

    /// The document as it is stored.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        super::shorten_document::text(&self.0)
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

/// A line that is going to be recorded: a name, a search, what a client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ScrubbedText(String);

impl ScrubbedText {
    /// `text`, scrubbed.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(scrub_text(text))
    }

    /// At most its first `most` characters.
    #[must_use]
    pub fn cut(self, most: usize) -> Self {
        Self(self.0.chars().take(most).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ScrubbedText> for String {
    fn from(text: ScrubbedText) -> Self {
        text.0
    }
}

/// Whether there is a token or a private key in `text`, whatever it stands beside.
#[must_use]
pub fn holds_token(text: &str) -> bool {
    find::tokens(text.as_bytes())
}

/// A piece of an output as it is recorded, of which `window` is what could be read of it and around it: the piece is at
/// `piece`, and `torn` says that the output begins before the window. An output has no end here: what might go on to be a
/// secret counts as one.
#[must_use]
pub fn scrub_piece(window: &[u8], piece: Range<usize>, torn: bool) -> ScrubbedText {
    ScrubbedText(replaced(window, piece, &secrets(window, Edges { torn_start: torn, open_end: true }).spans))
}
