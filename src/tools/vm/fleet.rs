//! The caller's VMs, and what their providers say of them.
//!
//! INVARIANT: a VM of another account, or one that the key's allow-list does not hold, is never in here (P9).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::core::state::Vm;
use crate::providers::compute::Machine;
use crate::tools::Execution;

/// A VM, and its machine if the provider has shown it.
pub(in crate::tools) struct Seen {
    /// The VM.
    pub(in crate::tools) vm: Vm,
    /// Its machine; none if the provider could not be asked or does not have it.
    pub(in crate::tools) machine: Option<Machine>,
    /// The provider is a simulation.
    pub(in crate::tools) simulation: bool,
}

/// The VMs that the caller may see, by id.
pub(in crate::tools) fn visible(execution: &Execution) -> Vec<Vm> {
    let (state, sight) = (execution.state(), execution.sight());
    sight.vms(&state).cloned().collect()
}

/// Asks each provider once. One that does not answer leaves its machines unseen.
pub(in crate::tools) async fn look(execution: &Execution, vms: &[Vm]) -> Vec<Seen> {
    let names: BTreeSet<&str> = vms.iter().map(|vm| vm.provider.as_str()).collect();
    let mut machines: BTreeMap<(String, String), Machine> = BTreeMap::new();
    let mut simulations = BTreeSet::new();
    for name in names {
        let Some(compute) = execution.ports.compute.get(name) else { continue };
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
        Seen { vm: vm.clone(), machine, simulation: simulations.contains(vm.provider.as_str()) }
    };
    vms.iter().map(seen).collect()
}

impl Seen {
    /// What is shown of it. `power` is `unknown` where the provider does not say.
    pub(in crate::tools) fn document(&self) -> Value {
        let Self { vm, machine, simulation } = self;
        let seen = machine.as_ref();
        json!({
            "vm_id": vm.id,
            "label": vm.label,
            "provider": vm.provider,
            "simulation": simulation,
            "exec_enabled": vm.exec_enabled,
            "power": seen.map_or(json!("unknown"), |machine| json!(machine.power)),
            "os": seen.map(|machine| &machine.os),
            "region": seen.map(|machine| &machine.region),
            "ipv4": seen.and_then(|machine| machine.ipv4.as_ref()),
            "vcpu": seen.map(|machine| machine.vcpu),
            "memory_mib": seen.map(|machine| machine.memory_mib),
            "disk_gib": seen.map(|machine| machine.disk_gib),
        })
    }
}
