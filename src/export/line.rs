//! One line of a bundle, as it is written and read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::core::id::Position;

/// One line. A line has one form, and what is checked is held against it: there is nothing in a line that is not looked at.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) position: Position,
    pub(super) sha256: String,
    pub(super) leaf: String,
    /// Plaintexts of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<Map<String, Value>>,
    /// By which salts the leaf commits to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) salts: Option<Map<String, Value>>,
}

impl Line {
    /// The line as it is written, with its end.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// The plaintext that a value of a bundle stands for; none if it stands for none.
pub(super) fn plaintext(value: &Value, truncated: bool) -> Option<Vec<u8>> {
    if !truncated {
        return serde_json::to_vec(value).ok();
    }
    let rest = value.get("$rest").map_or(Some(Vec::new()), |rest| hex::decode(rest.as_str()?).ok())?;
    Some([value.get("$head")?.as_str()?.as_bytes(), &rest].concat())
}
