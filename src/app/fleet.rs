//! The providers that the configuration names.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Config, QemuConfig, SimConfig};
use crate::core::time::Clock;
use crate::providers::compute::qemu::{ImageDir, Qemu};
use crate::providers::compute::sim::{Faults, Sim};
use crate::providers::compute::{Compute, Machine, MachineRef, PowerState, ProviderError};

/// Providers by name.
pub type Fleet = BTreeMap<&'static str, Arc<dyn Compute>>;

/// Opens every provider that `config` names.
pub fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Fleet, ProviderError> {
    let mut fleet = Fleet::new();
    if let Some(sim) = &config.providers.sim {
        let opened = Sim::open(config.data_dir.join("sim"), simulated(sim), Faults::rehearsed(&sim.faults), Arc::clone(clock))?;
        fleet.insert("sim", opened);
    }
    if let Some(qemu) = &config.providers.qemu {
        fleet.insert("qemu", open_qemu(config, qemu, clock)?);
    }
    Ok(fleet)
}

/// The names of the providers that `config` names.
pub fn names(config: &Config) -> impl Iterator<Item = &'static str> {
    let named = [("sim", config.providers.sim.is_some()), ("qemu", config.providers.qemu.is_some())];
    named.into_iter().filter(|(_, there)| *there).map(|(name, _)| name)
}

/// Opens the real machines of this host.
pub fn open_qemu(config: &Config, qemu: &QemuConfig, clock: &Arc<dyn Clock>) -> Result<Arc<Qemu>, ProviderError> {
    Qemu::open(qemu_dir(config, qemu), ImageDir::open(&qemu.image)?, Arc::clone(clock))
}

fn qemu_dir(config: &Config, qemu: &QemuConfig) -> PathBuf {
    qemu.dir.clone().unwrap_or_else(|| config.data_dir.join("qemu"))
}

/// The machines of the simulation: all alike but for their names.
#[must_use]
pub fn simulated(sim: &SimConfig) -> Vec<Machine> {
    let machine = |(name, number): (&String, u8)| Machine {
        machine: MachineRef(name.clone()),
        label: name.clone(),
        hostname: name.clone(),
        os: "Debian 13".into(),
        region: "nowhere".into(),
        ipv4: Some(format!("192.0.2.{number}")),
        vcpu: 2,
        memory_mib: 2048,
        disk_gib: 20,
        power: PowerState::Running,
    };
    sim.machines.iter().zip(10u8..).map(machine).collect()
}
