//! Control events that a tool appends: checked against control state, switches and the caller at the head, in the same
//! transaction. It is the one way in which a tool changes control state; `tests/it/architecture.rs` holds tools to that.

use std::sync::Arc;

use serde_json::Value;

use super::Execution;
use crate::core::call::Outcome;
use crate::core::event::Kind;
use crate::core::id::{AccountId, Position};
use crate::core::refusal::Refusal;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::log::at_hand::Need;
use crate::log::draft::{Draft, NewEvent};
use crate::log::store::{StoreError, Want};
use crate::log::vault::VaultError;

/// A control event on its way into the log.
pub(super) struct Record(NewEvent);

impl Record {
    /// An event that is all in its leaf.
    pub(super) fn plain(execution: &Execution, kind: Kind) -> Self {
        Self(NewEvent::plain(execution.ports.event_id(), kind))
    }

    /// An event with free text, which is sealed under the account it is about before anything is written. What stops something is
    /// written without it if the vault is away.
    pub(super) async fn noted(execution: &Execution, about: &AccountId, kind: Kind, note: Value) -> Result<Self, VaultError> {
        let (id, now) = (execution.ports.event_id(), execution.ports.clock.now());
        let vault = &execution.ports.reader.vault;
        let note = Scrubbed::of(note);
        let need = Need::of(Some(execution.tool));
        let part = vault.seal_as(need, about, now, &id, "note", &note).await?;
        Ok(Self(NewEvent::noted(id, kind, part, note)))
    }

    /// The event.
    pub(super) fn event(&self) -> NewEvent {
        self.0.clone()
    }
}

/// Appends all of `records`, or none and answers why not.
pub(super) async fn record(
    execution: &Execution,
    records: Vec<Record>,
    check: impl Fn(&ControlState) -> Option<Refusal> + Send + 'static,
) -> Result<(), Outcome> {
    write(execution, Want::default(), move |draft| {
        if let Some(refusal) = check(draft.state()) {
            return Ok(Err(refusal));
        }
        for record in &records {
            draft.append(Position(0), record.event())?;
        }
        Ok(Ok(()))
    })
    .await
}

/// Runs `entry` in the transaction of its writing, if the call may still write there: it is open, its key is alive, and no
/// switch covers it. What stops something goes before whatever waits.
pub(super) async fn write<R: Send + 'static>(
    execution: &Execution,
    want: Want,
    entry: impl FnMut(&mut Draft) -> Result<Result<R, Refusal>, StoreError> + Send + 'static,
) -> Result<R, Outcome> {
    write_as(execution, execution.tool.stops, want, entry).await
}

/// The same of what follows a stop and is not one: it is tried once, in its turn.
pub(super) async fn write_after<R: Send + 'static>(
    execution: &Execution,
    want: Want,
    entry: impl FnMut(&mut Draft) -> Result<Result<R, Refusal>, StoreError> + Send + 'static,
) -> Result<R, Outcome> {
    write_as(execution, false, want, entry).await
}

async fn write_as<R: Send + 'static>(
    execution: &Execution,
    stops: bool,
    mut want: Want,
    mut entry: impl FnMut(&mut Draft) -> Result<Result<R, Refusal>, StoreError> + Send + 'static,
) -> Result<R, Outcome> {
    let (acting, writer) = (execution.acting(), &execution.ports.writer);
    want.calls.extend(acting.want().calls);
    let checked = move |draft: &mut Draft| match acting.check(draft)? {
        Ok(()) => entry(draft),
        Err(refusal) => Ok(Err(refusal)),
    };
    let written = if stops { writer.write_stop(want, checked).await } else { writer.write(want, checked).await };
    written?.map_err(Outcome::Failed)
}

/// Appends the events that `decide` finds right at the head of the log, or none and answers why not. Nothing is changed by
/// whom somebody else has just taken the right from.
pub(super) async fn change(
    execution: &Execution,
    decide: impl Fn(&ControlState, Micros) -> Result<Vec<Kind>, Refusal> + Send + 'static,
) -> Result<Vec<Kind>, Outcome> {
    let ports = Arc::clone(&execution.ports);
    write(execution, Want::default(), move |draft| {
        let kinds = match decide(draft.state(), draft.now) {
            Ok(kinds) => kinds,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for kind in &kinds {
            draft.append(Position(0), NewEvent::plain(ports.event_id(), kind.clone()))?;
        }
        Ok(Ok(kinds))
    })
    .await
}

/// Control state at the head of the log, not as this node last saw it.
pub(super) async fn fresh(execution: &Execution) -> Result<Arc<ControlState>, Outcome> {
    let writer = &execution.ports.writer;
    let read = if execution.tool.stops { writer.fresh_to_stop().await? } else { writer.fresh().await? };
    Ok(Arc::clone(read.state()))
}
