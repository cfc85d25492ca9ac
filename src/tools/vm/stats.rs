//! `vm_stats_get`: what a VM does now, as far as its guest says.

use schemars::JsonSchema;
use serde::Serialize;

use crate::core::call::Outcome;
use crate::core::id::VmId;
use crate::core::noun::vm::vm_not_found;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::providers::compute::{LiveStats, PowerState};
use crate::tools::Execution;
use crate::tools::declare::{Nothing, Operation, reading};

pub(super) static STATS: Operation<Nothing, Output> = reading("vm_stats_get")
    .scope(Scope::VmsRead)
    .title("Figures of a VM")
    .about("Shows the power state and, in live, uptime, load and memory; null if the guest does not answer.")
    .on_a_vm()
    .run(|execution, _| Box::pin(stats(execution)));

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The VM.
    #[schemars(extend("x-class" = Public))]
    vm_id: VmId,
    /// running, stopped, paused or unknown.
    #[schemars(extend("x-class" = Public))]
    power: PowerState,
    /// What the guest says of itself; null if it is quiet, which is not the same as off.
    #[schemars(extend("x-class" = Public))]
    live: Option<LiveStats>,
}

async fn stats(execution: Execution) -> Result<Output, Outcome> {
    let vm_id = execution.vm().ok_or_else(vm_not_found)?.id;
    let stats = execution.compute()?.stats(&execution.machine()?).await?;
    Ok(Output { vm_id, power: stats.power, live: stats.live })
}
