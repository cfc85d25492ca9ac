//! Commands that a tool runs: decided against control state, switches and the caller at the head, in the transaction that writes.
//! It is the one way in which a tool changes control state; `tests/it/architecture/` holds tools to that.

use std::sync::Arc;

use serde_json::Value;

use super::Execution;
use crate::core::call::Outcome;
use crate::core::commands::Command;
use crate::core::commands::notice::{Notice, Notify};
use crate::core::id::AccountId;
use crate::core::reading::Reading;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::log::changing::{Author, Changed, Ids, Note};
use crate::log::stop_sealing::SealingNeed;
use crate::log::vault::VaultError;

impl Execution {
    /// The call as whoever changes something.
    pub(super) fn author(&self) -> Author {
        Author::Call(Box::new(self.acting()))
    }

    /// Where its events get their ids.
    pub(super) fn ids(&self) -> Ids {
        Ids::new(&self.ports.clock, &self.ports.entropy)
    }
}

/// Free text of an event, sealed under the account it is about before anything is written. What stops something is written
/// without it if the vault is away.
pub(super) async fn note(execution: &Execution, about: &AccountId, note: Value) -> Result<Note, VaultError> {
    let (id, now) = (execution.ports.event_id(), execution.ports.clock.now());
    let vault = &execution.ports.reader.vault;
    let note = Scrubbed::of(note);
    let need = SealingNeed::of(Some(execution.tool));
    let part = vault.seal_as(need, about, now, &id, "note", &note).await?;
    Ok(Note::sealed(id, part, note))
}

/// Writes down, before anything of it is answered, that staff read what is others': an account's, or that of all. They are told
/// what, and the staff what was asked for.
pub(super) async fn record_read(
    execution: &Execution,
    account: Option<&AccountId>,
    what: Reading,
    asked: Value,
) -> Result<(), Outcome> {
    let who = &execution.principal;
    let notice = Notice::LogRead { user: Some(who.user.clone()), account: account.cloned(), what };
    let note = note(execution, &who.account, asked).await?;
    let event = Some(note.id());
    change(execution, [note], Notify { notice, event }).await.map(drop)
}

/// Runs a command in the transaction of its writing, if the call may still write there: it is open, its key is alive, and no
/// switch covers it. What stops something goes before whatever waits.
pub(super) async fn change<C: Command>(
    execution: &Execution,
    notes: impl IntoIterator<Item = Note>,
    command: C,
) -> Result<Changed<C::Answer>, Outcome> {
    let (author, ids) = (execution.author(), execution.ids());
    let changed = execution.ports.writer.change(author, ids, notes.into_iter().collect(), command).await?;
    changed.map_err(Outcome::Failed)
}

/// Control state at the head of the log, not as this node last saw it.
pub(super) async fn fresh(execution: &Execution) -> Result<Arc<ControlState>, Outcome> {
    let writer = &execution.ports.writer;
    let read = if execution.tool.stops { writer.fresh_to_stop().await? } else { writer.fresh().await? };
    Ok(Arc::clone(read.state()))
}
