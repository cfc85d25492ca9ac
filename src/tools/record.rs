//! Control events that a tool appends: checked against control state at the head, in the same transaction.

use std::sync::Arc;

use serde_json::Value;

use super::Execution;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::{AccountId, Position};
use crate::core::refusal::Refusal;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::log::draft::NewEvent;
use crate::log::store::Want;
use crate::log::vault::VaultError;

/// A control event on its way into the log.
pub(super) struct Record(NewEvent);

impl Record {
    /// An event that is all in its leaf.
    pub(super) fn plain(execution: &Execution, kind: Kind) -> Self {
        Self(NewEvent::plain(execution.ports.event_id(), kind))
    }

    /// An event with free text, which is sealed under the account it is about before anything is written.
    pub(super) async fn noted(execution: &Execution, about: &AccountId, kind: Kind, note: Value) -> Result<Self, VaultError> {
        let (id, now) = (execution.ports.event_id(), execution.ports.clock.now());
        let vault = &execution.ports.reader.vault;
        let note = Scrubbed::of(note);
        let part = vault.seal(about, now, &id, "note", &note).await?;
        Ok(Self(NewEvent { id, kind, parts: vec![part], note }))
    }

    /// The event.
    pub(super) fn event(self) -> NewEvent {
        self.0
    }
}

/// Appends all of `records`, or none and answers why not.
pub(super) async fn record(
    execution: &Execution,
    records: Vec<Record>,
    check: impl FnOnce(&ControlState) -> Option<Refusal> + Send + 'static,
) -> Result<(), Outcome> {
    let refused = execution
        .ports
        .writer
        .write(Want::default(), move |draft| {
            if let Some(refusal) = check(draft.state()) {
                return Ok(Some(refusal));
            }
            for record in records {
                draft.append(Position(0), record.event())?;
            }
            Ok(None)
        })
        .await?;
    refused.map_or(Ok(()), |refusal| Err(Outcome::Failed(refusal)))
}

/// Appends the events that `decide` finds right at the head of the log, or none and answers why not. Nothing is changed by
/// whom somebody else has just taken the right from.
pub(super) async fn change(
    execution: &Execution,
    decide: impl FnOnce(&ControlState, Micros) -> Result<Vec<Kind>, Refusal> + Send + 'static,
) -> Result<Vec<Kind>, Outcome> {
    let (ports, caller) = (Arc::clone(&execution.ports), execution.principal.credential.clone());
    let changed = execution.ports.writer.write(Want::default(), move |draft| {
        if draft.state().credentials.get(&caller).is_none_or(|row| row.revoked_at.is_some()) {
            return Ok(Err(Refusal::new(Code::TokenRevoked, "The key was revoked.")));
        }
        let kinds = match decide(draft.state(), draft.now) {
            Ok(kinds) => kinds,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for kind in &kinds {
            draft.append(Position(0), NewEvent::plain(ports.event_id(), kind.clone()))?;
        }
        Ok(Ok(kinds))
    });
    changed.await?.map_err(Outcome::Failed)
}

/// Control state at the head of the log, not as this node last saw it.
pub(super) async fn fresh(execution: &Execution) -> Result<ControlState, Outcome> {
    Ok(execution.ports.writer.write(Want::default(), |draft| Ok(draft.state().clone())).await?)
}
