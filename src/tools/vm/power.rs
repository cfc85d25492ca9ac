//! `vm_power`: turning a VM on and off. The provider keeps the call's id with the change, so that a lost answer can be
//! looked up later (P4).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::id::VmId;
use crate::core::noun::vm::vm_not_found;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::tool::EffectKind;
use crate::providers::compute::{PowerAction, PowerState};
use crate::tools::Execution;
use crate::tools::declare::{Operation, write};

/// A guest that is asked to turn itself off may take its time.
const LIMIT: Duration = Duration::from_mins(2);

pub(super) static POWER: Operation<Args, Output> = write("vm_power")
    .scope(Scope::VmsPower)
    .title("Change a VM's power")
    .about(
        "Changes a VM's power and answers when that is complete. All but start interrupt service and take confirm: true; stop \
         and reset may lose unsaved data.",
    )
    .acts("{action}")
    .on_a_vm()
    .leaves(EffectKind::Change)
    .time_limit(LIMIT)
    .run(|execution, args| Box::pin(change(execution, args)))
    .confirm("true: the interruption is intended; not needed for start.", effect);

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// start turns on; shutdown and reboot ask the guest; stop and reset cut the power.
    #[schemars(extend("x-class" = Public))]
    action: PowerAction,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The VM.
    #[schemars(extend("x-class" = Public))]
    vm_id: VmId,
    /// What was done.
    #[schemars(extend("x-class" = Public))]
    action: PowerAction,
    /// Power state afterwards.
    #[schemars(extend("x-class" = Public))]
    power: PowerState,
}

fn effect(args: &Args) -> Option<&'static str> {
    match args.action {
        PowerAction::Start => None,
        PowerAction::Shutdown => Some("The guest is asked to turn itself off; its services end."),
        PowerAction::Reboot => Some("The guest is asked to restart; its services are interrupted."),
        PowerAction::Stop => Some("The power is cut; unsaved data is lost and services end."),
        PowerAction::Reset => Some("The power is cut and turned on again; unsaved data is lost."),
    }
}

async fn change(execution: Execution, Args { action }: Args) -> Result<Output, Outcome> {
    let compute = execution.compute()?;
    if !compute.capabilities().power.contains(&action) {
        return Err(Refusal::new(Code::NotImplemented, "The VM's provider cannot do this.").into());
    }
    let (machine, vm_id) = (execution.machine()?, execution.vm().ok_or_else(vm_not_found)?.id);
    execution.report(0.0, Some(1.0), "asking the provider");
    let permit = execution.leave()?;
    compute.power(&machine, action, execution.call(), permit).await?;
    execution.report(1.0, Some(1.0), "done");
    // It has happened, whatever the provider answers to a look at it.
    let power = compute.get(&machine).await.map_or(PowerState::Unknown, |seen| seen.power);
    Ok(Output { vm_id, action, power })
}
