//! `vm_get`: one VM, as its provider sees it now.

use schemars::JsonSchema;
use serde::Serialize;

use crate::core::call::Outcome;
use crate::core::noun::vm::vm_not_found;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::providers::compute::PowerAction;
use crate::tools::Execution;
use crate::tools::declare::{Nothing, Operation, reading};
use crate::tools::vm::fleet::{Shown, VmWithMachine};

pub(super) static GET: Operation<Nothing, Output> = reading("vm_get")
    .scope(Scope::VmsRead)
    .title("Get a VM")
    .about("Shows one VM: power, sizes, address, and what can be done to it.")
    .on_a_vm()
    .run(|execution, _| Box::pin(get(execution)));

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    #[serde(flatten)]
    vm: Shown,
    /// What vm_power can do to it.
    #[schemars(extend("x-class" = Public))]
    power_actions: Vec<PowerAction>,
    /// The provider can run commands in it.
    #[schemars(extend("x-class" = Public))]
    guest_commands: bool,
}

async fn get(execution: Execution) -> Result<Output, Outcome> {
    let compute = execution.compute()?;
    let machine = compute.get(&execution.machine()?).await?;
    let can = compute.capabilities();
    let vm = execution.vm().ok_or_else(vm_not_found)?;
    let seen = VmWithMachine { vm, machine: Some(machine), simulation: can.simulation };
    Ok(Output { vm: seen.into(), power_actions: can.power, guest_commands: can.guest })
}
