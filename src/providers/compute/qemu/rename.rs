//! Host names, as the machine's file has them. Its guest is told when QEMU starts, by the kernel's command line: a reboot from inside
//! keeps that. The guest's agent could tell it earlier, by a command: those are off until somebody turns them on.

use super::changes::Turn;
use super::journal::{Action, Before, Entry, Journal};
use super::machines::{Machines, unreadable};
use crate::core::id::CallId;
use crate::providers::Permit;
use crate::providers::compute::{Effect, Hostname, MachineRef, ProviderError};

/// Gives the machine another host name.
pub(super) async fn change(
    machines: &Machines,
    machine: &MachineRef,
    hostname: &Hostname,
    call: &CallId,
    permit: Permit,
) -> Result<(), ProviderError> {
    let turn = Turn::take(&machines.find(machine)?, call).await?;
    let (call, action) = (call.clone(), Action::Rename(hostname.clone()));
    let entry = Entry { call, action, at: machines.clock.now(), before: Before::default(), ending: None };
    turn.make(entry, async {
        let mut record = machines.read(machine)?;
        record.hostname = Some(hostname.clone());
        let written = machines.write(machine, &record);
        drop(permit);
        written
    })
    .await
}

/// What became of a change whose end nobody saw: the machine's file says it, unless another name was given since.
pub(super) fn judge(
    machines: &Machines,
    machine: &MachineRef,
    journal: &Journal,
    entry: &Entry,
    hostname: &Hostname,
) -> Result<Effect, ProviderError> {
    if journal.has_later(entry).map_err(unreadable)? {
        return Ok(Effect::CannotTell);
    }
    let is_called = machines.read(machine)?.hostname.as_ref() == Some(hostname);
    Ok(if is_called { Effect::Happened } else { Effect::DidNotHappen })
}
