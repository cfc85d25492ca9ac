//! `claim_clear`: a person says that the command whose end is unknown is gone, and frees the VM's place for a command.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::id::{CallId, VmId};
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::log::clearing::Grounds;
use crate::tools::Execution;
use crate::tools::declare::{Operation, administration};

pub(super) static CLEAR: Operation<Args, Output> = administration("claim_clear")
    .scope(Scope::StaffSwitch)
    .title("Clear a VM's command")
    .about(
        "Frees a VM's place for a command after one ended with its outcome unknown. A command that still runs keeps its place.",
    )
    .run(|execution, args| Box::pin(clear(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The VM.
    #[schemars(extend("x-class" = Public))]
    vm: VmId,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The VM.
    #[schemars(extend("x-class" = Public))]
    vm: VmId,
    /// The command that held its place.
    #[schemars(extend("x-class" = Public))]
    command_id: CallId,
}

async fn clear(execution: Execution, Args { vm }: Args) -> Result<Output, Outcome> {
    let (author, ids, by) = (execution.author(), execution.ids(), execution.principal.user.clone());
    let cleared = execution.ports.writer.clear_claim(author, ids, (&vm).into(), Grounds::Person(by)).await?;
    match cleared.map_err(Outcome::Failed)? {
        Some(claim) if claim.unknown => Ok(Output { vm, command_id: claim.call }),
        Some(_) => Err(Outcome::Failed(Refusal::new(Code::VmCommandInProgress, "The command still runs; cancel it instead."))),
        None => Err(Outcome::Failed(Refusal::new(Code::NotFound, "No command holds the place of such a VM."))),
    }
}
