//! What can be wrong with a log, by name.

use serde::Serialize;

use crate::core::id::Position;
use crate::log::store::StoreError;
use crate::log::vault::VaultError;

/// So many findings are kept; more are counted.
const MAX_KEPT: usize = 1000;

/// What is wrong. The name never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A position has no event.
    Gap,
    /// An event's time is before an earlier position's.
    TimeBackwards,
    /// A leaf is not JSON of this schema.
    LeafUnreadable,
    /// A leaf's bytes are not the canonical form of what they say.
    LeafNotCanonical,
    /// A leaf is of another version or another log.
    LeafForeign,
    /// A column is not what the leaf says.
    ColumnMismatch,
    /// A leaf names a payload part that is not there.
    PayloadMissing,
    /// A payload part that no leaf names.
    PayloadOrphan,
    /// A ciphertext is not the one that the leaf names.
    PayloadDigest,
    /// A plaintext is not the one that the leaf commits to, or cannot be opened with its key.
    PayloadCommitment,
    /// A payload part that every event of this type has, and this one has not.
    PayloadLacking,
    /// A payload part that is sealed with the key of another account than the call's.
    PayloadForeign,
    /// The key that payloads are sealed under is not in the vault: what they said is lost. Nothing erases one.
    KeyMissing,
    /// An event that cannot follow in its call.
    IllegalTransition,
    /// A call that ends twice.
    SecondEnd,
    /// `prev` is not the previous event of the same call.
    PrevLink,
    /// What an event says of control state is not what the events make it.
    ControlRoot,
    /// The head is not at the newest event.
    HeadPosition,
    /// The head's time is not the newest event's.
    HeadTime,
    /// The head's epoch is not what the events make it.
    HeadEpoch,
    /// An event past the head.
    PastHead,
    /// Control rows whose notes are closed are, together with the others, not what the newest event says of them.
    ControlClosed,
    /// A control row that the events make is not there.
    ControlMissing,
    /// A control row that no event makes.
    ControlExtra,
    /// A control row is not what the events make it.
    ControlDiffers,
    /// An open call has no job row.
    JobMissing,
    /// A job row of a call that is not open.
    JobStale,
    /// A job row is not what the call's events make it.
    JobDiffers,
}

impl Fault {
    /// Whether it is about the state beside the log rather than the log.
    #[must_use]
    pub fn is_about_state(self) -> bool {
        self >= Self::HeadPosition
    }

    /// Whether it says of a payload only that it is there, or is not. The state beside the log is made without it; a fold
    /// that lacks a note says so itself.
    #[must_use]
    pub fn is_about_presence(self) -> bool {
        matches!(self, Self::PayloadMissing | Self::PayloadOrphan | Self::KeyMissing)
    }

    /// Whether `forelog doctor --mend` can put it right.
    #[must_use]
    pub fn is_mendable(self) -> bool {
        self >= Self::ControlMissing || matches!(self, Self::HeadPosition | Self::HeadTime | Self::HeadEpoch)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub fault: Fault,
    /// Where in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Which row or call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What was found, without content.
    pub detail: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = serde_json::to_value(self.fault).ok();
        f.write_str(name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default())?;
        if let Some(position) = self.position {
            write!(f, " at {}", position.0)?;
        }
        if let Some(subject) = &self.subject {
            write!(f, " of {subject}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Findings as they are made.
#[derive(Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    more: u64,
}

impl Findings {
    /// Nothing was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn at(&mut self, position: Position, fault: Fault, detail: impl Into<String>) {
        self.push(Finding { fault, position: Some(position), subject: None, detail: detail.into() });
    }

    pub(super) fn about(&mut self, subject: &str, fault: Fault, detail: impl Into<String>) {
        self.push(Finding { fault, position: None, subject: Some(subject.to_owned()), detail: detail.into() });
    }

    fn push(&mut self, finding: Finding) {
        if self.kept.len() < MAX_KEPT {
            self.kept.push(finding);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn finish(self) -> (Vec<Finding>, u64) {
        (self.kept, self.more)
    }
}

/// A log that could not be walked at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log room failed.
    #[error("reading the log")]
    Store(#[from] StoreError),
    /// The vault failed.
    #[error("opening a payload")]
    Vault(#[from] VaultError),
}
