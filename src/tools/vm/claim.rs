//! `claim_clear`: a person says that the command whose end is unknown is gone, and frees the VM's place for a command.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::{CallId, Position, VmId};
use crate::core::job::Claim;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::resource::ResourceId;
use crate::core::scope::Scope;
use crate::log::admission::claim_row;
use crate::log::draft::NewEvent;
use crate::log::store::Want;
use crate::tools::Execution;
use crate::tools::declare::{Operation, administration};
use crate::tools::record::write;

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
    let (row, id, by) = (claim_row(&ResourceId::from(&vm)), execution.ports.event_id(), execution.principal.user.clone());
    let want = Want { names: vec![row.clone()], ..Want::default() };
    let held = vm.clone();
    let cleared = write(&execution, want, move |draft| {
        let Some(claim) = draft.get::<Claim>(&row)? else { return Ok(Ok(None)) };
        if claim.unknown {
            draft.delete(&row);
            let kind = Kind::ClaimCleared { resource: (&held).into(), call: claim.call.clone(), by: Some(by.clone()) };
            draft.append(Position(0), NewEvent::plain(id.clone(), kind))?;
        }
        Ok(Ok(Some(claim)))
    });
    match cleared.await? {
        Some(claim) if claim.unknown => Ok(Output { vm, command_id: claim.call }),
        Some(_) => Err(Outcome::Failed(Refusal::new(Code::VmCommandInProgress, "The command still runs; cancel it instead."))),
        None => Err(Outcome::Failed(Refusal::new(Code::NotFound, "No command holds the place of such a VM."))),
    }
}
