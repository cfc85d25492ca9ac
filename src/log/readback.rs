//! Whether somebody may read the log back, which is no call: a decision without an intent.
//!
//! INVARIANT: what has to be written down before it is read is, in the transaction that allowed it; nothing else waits for an
//! append, and both are decided by the same function on the same rows.

use std::collections::BTreeMap;

use super::decision_inputs::use_rows;
use super::draft::{Draft, NewEvent};
use super::store::{StoreError, Want};
use super::writer::{WriteError, Writer};
use crate::core::decide::{Decision, DecisionInputs, decide};
use crate::core::id::Position;
use crate::core::proposal::Proposal;

impl Writer {
    /// What is decided of a reading, as the log stands now.
    pub async fn check(&self, reading: &Proposal) -> Result<Decision, WriteError> {
        self.fresh_with(use_rows(&reading.lineage_rows)).await?.decide(reading).map_err(WriteError::unread)
    }

    /// The same of one that is written down first: `event` is appended if it is allowed.
    pub async fn write_down(&self, reading: Proposal, event: NewEvent) -> Result<Decision, WriteError> {
        let want = Want { names: use_rows(&reading.lineage_rows), ..Want::default() };
        self.write(want, move |draft| {
            let decision = draft.decide_reading(&reading)?;
            if !matches!(decision, Decision::Refuse { .. } | Decision::Unsettled) {
                draft.append(Position(0), event.clone())?;
            }
            Ok(decision)
        })
        .await
    }
}

impl Draft {
    pub(super) fn decide_reading(&self, reading: &Proposal) -> Result<Decision, StoreError> {
        let (windows, uses) = (BTreeMap::new(), self.uses(&reading.lineage_rows)?);
        let facts = DecisionInputs {
            now: self.now,
            state: self.state(),
            windows: &windows,
            idempotency: None,
            joined: 0,
            claim: None,
            uses: &uses,
        };
        Ok(decide(reading, &facts))
    }
}
