//! A result as it is answered, and what is recorded of the excerpts in it.
//!
//! INVARIANT: an excerpt is recorded as whoever cut it says, who knows what stood around it; otherwise nothing of it is. What
//! says how long it was is not recorded where something in it was blanked: that would say how long the secret is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::redact::{Classes, redact};
use super::scrub::ScrubbedText;

/// A result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolResult {
    live: Value,
    excerpts: BTreeMap<String, ScrubbedText>,
    left_out: BTreeSet<String>,
    /// It was read back from the log: what is recorded of it is what was.
    is_recorded: bool,
}

impl From<Value> for ToolResult {
    fn from(live: Value) -> Self {
        Self { live, ..Self::default() }
    }
}

impl ToolResult {
    /// A result as the log has it, which another call ends with too.
    #[must_use]
    pub fn repeated(recorded: Value) -> Self {
        Self { live: recorded, is_recorded: true, ..Self::default() }
    }

    /// Says what is recorded of the excerpt at `field`.
    pub fn record(&mut self, field: impl Into<String>, text: ScrubbedText) {
        self.excerpts.insert(field.into(), text);
    }

    /// Says that nothing is recorded of `field`.
    pub fn leave_out(&mut self, field: impl Into<String>) {
        self.left_out.insert(field.into());
    }

    /// A text as the caller is answered it.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn live_text(&self, field: &str) -> Option<&str> {
        self.live[field].as_str()
    }

    /// A number as the caller is answered it.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn live_size(&self, field: &str) -> Option<usize> {
        self.live[field].as_u64().and_then(|size| usize::try_from(size).ok())
    }

    /// Whether a field says yes to the caller.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn is_live(&self, field: &str) -> bool {
        self.live[field] == true
    }

    /// What the caller is answered.
    #[must_use]
    pub fn live(self) -> Value {
        self.live
    }

    /// What is recorded, by the classes of its fields. Nothing is recorded of nothing.
    #[must_use]
    pub fn recorded(&self, classes: &Classes) -> Value {
        if self.live.is_null() || self.is_recorded {
            return self.live.clone();
        }
        let mut document = redact(&self.live, classes);
        for (field, text) in &self.excerpts {
            if let Some(place) = document.get_mut(field) {
                *place = Value::from(text.as_str());
            }
        }
        for field in &self.left_out {
            if let Some(place) = document.get_mut(field) {
                *place = Value::Null;
            }
        }
        document
    }
}
