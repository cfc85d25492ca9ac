//! Where a page ended: pins the position that all pages of one reading show, so that later pages never shift.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::core::id::Position;

/// A cursor, opaque to whoever holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The position that the pages show.
    pub as_of: Position,
    /// The next page's intents are before this one.
    pub before: Position,
}

impl Cursor {
    /// The cursor as text.
    #[must_use]
    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&self).unwrap_or_default())
    }

    /// Reads a cursor that was given back; none if it cannot be one of ours on a log that stands at `head`.
    #[must_use]
    pub fn decode(text: &str, head: Position) -> Option<Self> {
        let cursor: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (cursor.before.0 >= 1 && cursor.before <= cursor.as_of && cursor.as_of <= head).then_some(cursor)
    }
}
