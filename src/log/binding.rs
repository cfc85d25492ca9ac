//! What a sealed part belongs to. It is a part of what the cipher authenticates, so a part opens where it was made for and
//! nowhere else, whatever the rows and leaves beside it say.
//!
//! INVARIANT: a part of an intent is bound to all that the intent says; one of a later event of a call to the call and to what
//! happened; one of any other event to that event's id.

use sha2::{Digest, Sha256};

use crate::core::canonical::canonical;
use crate::core::event::{Event, EventKind, IntentRecorded};
use crate::core::id::{CallId, EventId};

/// The ends that may have come too late: what is then a late result was sealed as one of these.
const ENDS: [&str; 5] = ["succeeded", "failed", "cancelled", "timed_out", "unknown"];

/// What a part is bound to.
#[derive(Clone, Debug)]
pub struct Binding {
    event: String,
    to: String,
}

impl From<&EventId> for Binding {
    /// A part of an event beside the calls.
    fn from(event: &EventId) -> Self {
        Self { event: event.to_string(), to: String::new() }
    }
}

impl Binding {
    /// A part of an intent.
    #[must_use]
    pub fn intent(event: &EventId, intent: &IntentRecorded) -> Self {
        // Ids, names and numbers: they can always be written.
        let said = canonical(intent).unwrap_or_default();
        Self { event: event.to_string(), to: hex::encode(Sha256::digest(said)) }
    }

    /// A part of a later event of a call, by its type.
    #[must_use]
    pub fn step(event: &EventId, call: &CallId, kind: &str) -> Self {
        Self { event: event.to_string(), to: format!("{call}|{kind}") }
    }

    /// What the parts of an event may have been bound to when they were sealed.
    #[must_use]
    pub fn of(event: &Event) -> Vec<Self> {
        match (&event.kind, event.kind.call()) {
            (EventKind::IntentRecorded(intent), _) => vec![Self::intent(&event.id, intent)],
            (EventKind::LateResult { call }, _) => ENDS.map(|end| Self::step(&event.id, call, end)).into(),
            (kind, Some(call)) => vec![Self::step(&event.id, call, kind.name())],
            (_, None) => vec![Self::from(&event.id)],
        }
    }

    /// What the cipher authenticates besides the part.
    pub(super) fn with(&self, part: &str) -> Vec<u8> {
        format!("{}|{part}|{}|2", self.event, self.to).into_bytes()
    }
}
