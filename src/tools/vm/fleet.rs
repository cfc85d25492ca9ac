//! The caller's VMs, and what their providers say of them.
//!
//! INVARIANT: a VM of another account, or one that the key's allow-list does not hold, is never in here (P9).

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::core::call::Outcome;
use crate::core::id::VmId;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::state::Vm;
use crate::providers::compute::{Machine, PowerState};
use crate::tools::Execution;

/// A VM, and its machine if the provider has shown it.
pub(in crate::tools) struct VmWithMachine {
    /// The VM.
    pub(in crate::tools) vm: Vm,
    /// Its machine; none if the provider could not be asked or does not have it.
    pub(in crate::tools) machine: Option<Machine>,
    /// The provider is a simulation.
    pub(in crate::tools) simulation: bool,
}

/// The VMs that the caller may see, by id.
pub(in crate::tools) fn visible(execution: &Execution) -> Vec<Vm> {
    let (state, visibility) = (execution.state(), execution.visibility());
    visibility.vms(&state).cloned().collect()
}

/// Asks each provider once. One that does not answer leaves its machines unseen.
pub(in crate::tools) async fn look(execution: &Execution, vms: &[Vm]) -> Result<Vec<VmWithMachine>, Outcome> {
    let names: BTreeSet<&str> = vms.iter().map(|vm| vm.provider.as_str()).collect();
    let mut machines: BTreeMap<(String, String), Machine> = BTreeMap::new();
    let mut simulations = BTreeSet::new();
    for name in names {
        let Some(compute) = execution.provider(name)? else { continue };
        if compute.capabilities().simulation {
            simulations.insert(name);
        }
        match compute.list().await {
            Ok(found) => machines.extend(found.into_iter().map(|row| ((name.to_owned(), row.machine.0.clone()), row))),
            Err(error) => tracing::warn!(provider = name, %error, "a provider does not list its machines"),
        }
    }
    let seen = |vm: &Vm| {
        let machine = machines.get(&(vm.provider.clone(), vm.machine.clone())).cloned();
        VmWithMachine { vm: vm.clone(), machine, simulation: simulations.contains(vm.provider.as_str()) }
    };
    Ok(vms.iter().map(seen).collect())
}

/// A VM as it is shown: what is known here, and what its provider says.
#[derive(Serialize, JsonSchema)]
pub(in crate::tools) struct Shown {
    /// The VM.
    #[schemars(extend("x-class" = Public))]
    vm_id: VmId,
    /// Its name for people.
    #[schemars(extend("x-class" = Content))]
    label: String,
    /// What it is called in its network.
    #[schemars(extend("x-class" = Content))]
    hostname: Option<String>,
    /// Which provider has it.
    #[schemars(extend("x-class" = Public))]
    provider: String,
    /// The provider is a simulation: there is no real machine.
    #[schemars(extend("x-class" = Public))]
    simulation: bool,
    /// Command execution is on.
    #[schemars(extend("x-class" = Public))]
    exec_enabled: bool,
    /// unknown, if its provider does not say.
    #[schemars(extend("x-class" = Public))]
    power: PowerState,
    /// Operating system.
    #[schemars(extend("x-class" = Content))]
    os: Option<String>,
    /// Where it stands.
    #[schemars(extend("x-class" = Content))]
    region: Option<String>,
    /// First address.
    #[schemars(extend("x-class" = Content))]
    ipv4: Option<String>,
    /// Virtual processors.
    #[schemars(extend("x-class" = Public))]
    vcpu: Option<u32>,
    /// Memory in MiB.
    #[schemars(extend("x-class" = Public))]
    memory_mib: Option<u32>,
    /// Disk in GiB.
    #[schemars(extend("x-class" = Public))]
    disk_gib: Option<u32>,
}

impl From<VmWithMachine> for Shown {
    fn from(VmWithMachine { vm, machine, simulation }: VmWithMachine) -> Self {
        let seen = machine.as_ref();
        Self {
            vm_id: vm.id,
            label: vm.label,
            hostname: seen.map(|machine| machine.hostname.clone()),
            provider: vm.provider,
            simulation,
            exec_enabled: vm.exec_enabled,
            power: seen.map_or(PowerState::Unknown, |machine| machine.power),
            vcpu: seen.map(|machine| machine.vcpu),
            memory_mib: seen.map(|machine| machine.memory_mib),
            disk_gib: seen.map(|machine| machine.disk_gib),
            ipv4: seen.and_then(|machine| machine.ipv4.clone()),
            os: seen.map(|machine| machine.os.clone()),
            region: machine.map(|machine| machine.region),
        }
    }
}
