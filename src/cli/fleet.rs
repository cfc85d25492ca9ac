//! Machines as the command line sees them, and the real guests of a demonstration.

use std::sync::Arc;

use indicatif::ProgressBar;

use super::{CliError, Context};
use crate::app::fleet;
use crate::core::id::CallId;
use crate::providers::Permit;
use crate::providers::compute::qemu::{MachineSpec, Qemu};
use crate::providers::compute::{Compute, Machine, MachineRef, PowerAction, PowerState};

/// The guests of a demonstration on real machines.
const GUESTS: [&str; 2] = ["web-1", "db-1"];

/// Every machine of every provider that is configured. The simulation is read from the configuration: a running server
/// has it open.
pub async fn machines(context: &Context) -> Result<Vec<(&'static str, Machine)>, CliError> {
    let mut found = Vec::new();
    if let Some(sim) = &context.config.providers.sim {
        found.extend(fleet::simulated(sim).into_iter().map(|machine| ("sim", machine)));
    }
    if let Some(qemu) = open(context)? {
        found.extend(qemu.list().await?.into_iter().map(|machine| ("qemu", machine)));
    }
    Ok(found)
}

/// Opens the configured qemu provider.
pub fn open(context: &Context) -> Result<Option<Arc<Qemu>>, CliError> {
    let Some(qemu) = &context.config.providers.qemu else { return Ok(None) };
    Ok(Some(fleet::open_qemu(&context.config, qemu, &context.clock)?))
}

/// Makes a small machine, switched off.
pub async fn make(qemu: &Qemu, name: &str) -> Result<Machine, CliError> {
    let spec = MachineSpec {
        label: name.to_owned(),
        memory_mib: 256,
        vcpu: 1,
        disk_gib: 4,
        os: "Debian".into(),
        region: "this host".into(),
    };
    Ok(qemu.create_machine(&MachineRef(name.to_owned()), spec).await?)
}

/// Makes the guests of a demonstration on real machines, if that is what it is on.
pub async fn make_guests(context: &Context) -> Result<(), CliError> {
    let Some(qemu) = open(context)? else { return Ok(()) };
    let there = qemu.list().await?;
    for name in GUESTS {
        if there.iter().all(|machine| machine.machine.0 != name) {
            make(&qemu, name).await?;
        }
    }
    Ok(())
}

/// Turns every guest on.
pub async fn start_guests(context: &Context) -> Result<(), CliError> {
    let Some(qemu) = open(context)? else { return Ok(()) };
    let machines = qemu.list().await?;
    let progress = ProgressBar::new(machines.len() as u64).with_message("starting guests");
    for machine in machines {
        if machine.power == PowerState::Stopped {
            let call = CallId::new(context.clock.now(), &*context.entropy);
            qemu.power(&machine.machine, PowerAction::Start, &call, Permit::unfenced()).await?;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

/// Cuts the power of every guest.
pub async fn stop_guests(context: &Context) -> Result<(), CliError> {
    let Some(qemu) = open(context)? else { return Ok(()) };
    Ok(qemu.stop_all().await?)
}
