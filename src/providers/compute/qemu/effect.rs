//! What became of the change that a call asked for, whatever was to be changed.

use super::changes::lock;
use super::journal::{Action, Ending, Journal, Known};
use super::machines::{Machines, unreadable};
use super::{power, rename};
use crate::core::id::CallId;
use crate::providers::compute::{Effect, MachineRef, ProviderError};

/// What became of the change that `call` asked for.
pub(super) async fn find(machines: &Machines, machine: &MachineRef, call: &CallId) -> Result<Effect, ProviderError> {
    let home = machines.find(machine)?;
    let journal = Journal::of(&home);
    // The lock first: a change that ends in between is then read with its ending.
    let under_way = lock(&home)?.is_none();
    let entry = match journal.find(call).map_err(unreadable)? {
        Known::Entry(entry) => entry,
        Known::Nothing => return Ok(Effect::DidNotHappen),
        Known::Forgotten => return Ok(Effect::CannotTell),
    };
    match entry.ending {
        Some(Ending::Happened) => Ok(Effect::Happened),
        Some(Ending::DidNotHappen) => Ok(Effect::DidNotHappen),
        None if under_way => Ok(Effect::Running),
        None => match &entry.action {
            Action::Power(action) => power::judge(machines, machine, &journal, &entry, *action).await,
            Action::Rename(hostname) => rename::judge(machines, machine, &journal, &entry, hostname),
        },
    }
}
