//! `claim_clear`: a person says that the command whose end is unknown is gone, and frees the VM's place for a command.

use serde::Deserialize;
use serde_json::json;

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::{Position, VmId};
use crate::core::job::Claim;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::log::admission::claim_row;
use crate::log::draft::NewEvent;
use crate::log::store::Want;
use crate::tools::outcome::Answer;
use crate::tools::record::write;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::control("claim_clear", Some(Scope::StaffSwitch));

pub(super) fn tool() -> Tool {
    let input = Shape::new().must("vm", Public, id("vm", "The VM.")).keyed();
    let output = Shape::new().must("vm", Public, any("string", "The VM.")).must(
        "command_id",
        Public,
        any("string", "The command that held its place."),
    );
    let face = Face {
        title: "Clear a VM's command",
        description: "Frees a VM's place for a command after one ended with its outcome unknown. A command that still runs keeps \
                      its place.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(clear))
}

#[derive(Deserialize)]
struct Args {
    vm: VmId,
}

async fn clear(execution: Execution) -> Answer {
    let Args { vm } = execution.arguments()?;
    let (row, id, by) = (claim_row(&vm), execution.ports.event_id(), execution.principal.user.clone());
    let want = Want { names: vec![row.clone()], ..Want::default() };
    let held = vm.clone();
    let cleared = write(&execution, want, move |draft| {
        let Some(claim) = draft.get::<Claim>(&row)? else { return Ok(Ok(None)) };
        if claim.unknown {
            draft.delete(&row);
            let kind = Kind::ClaimCleared { vm: held.clone(), call: claim.call.clone(), by: Some(by.clone()) };
            draft.append(Position(0), NewEvent::plain(id.clone(), kind))?;
        }
        Ok(Ok(Some(claim)))
    });
    match cleared.await? {
        Some(claim) if claim.unknown => Ok(json!({ "vm": vm, "command_id": claim.call })),
        Some(_) => Err(Outcome::Failed(Refusal::new(Code::VmCommandInProgress, "The command still runs; cancel it instead."))),
        None => Err(Outcome::Failed(Refusal::new(Code::NotFound, "No command holds the place of such a VM."))),
    }
}
