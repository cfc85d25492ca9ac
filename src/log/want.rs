//! What is read of the log, besides its head.

use crate::core::id::{CallId, Epoch, Position};

/// What a transaction reads before it decides.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// State rows by name.
    pub names: Vec<String>,
    /// State rows of whole kinds.
    pub kinds: Vec<&'static str>,
    /// State rows whose names begin with one of these, which end in a slash.
    pub under: Vec<String>,
    /// Calls whose events are read.
    pub calls: Vec<CallId>,
    /// Control rows changed after `known_position` are read if the head's epoch is not this one.
    pub known_epoch: Epoch,
    /// See `known_epoch`.
    pub known_position: Position,
}

impl Want {
    /// The position of who knows nothing yet, and reads whatever rows there are.
    pub const NOTHING_KNOWN: Position = Position(i64::MIN);

    /// Wants what `other` does as well.
    pub(super) fn extend(&mut self, other: &Self) {
        self.names.extend_from_slice(&other.names);
        self.kinds.extend_from_slice(&other.kinds);
        self.under.extend_from_slice(&other.under);
        self.calls.extend_from_slice(&other.calls);
    }

    /// Nothing twice.
    pub(super) fn tidy(&mut self) {
        self.names.sort_unstable();
        self.names.dedup();
        self.kinds.sort_unstable();
        self.kinds.dedup();
        self.under.sort_unstable();
        self.under.dedup();
        self.calls.sort_unstable();
        self.calls.dedup();
    }
}
