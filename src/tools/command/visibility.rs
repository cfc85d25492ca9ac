//! Which commands a caller may see.
//!
//! INVARIANT: a command that the caller may not see looks exactly like one that does not exist (P9).

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::refusal::Refusal;
use crate::core::resource::{ResourceId, place_of};
use crate::core::state::Vm;
use crate::core::tool::ToolSpec;
use crate::tools::{CallRecord, Execution};

/// What is told of a command that is absent, not owned, or not on the allow-list.
pub(super) fn not_found() -> Outcome {
    Refusal::new(Code::CommandNotFound, "There is no such command.").into()
}

/// The VM of a command, if the caller may see the command.
pub(super) fn vm_of(execution: &Execution, tool: &str, about: &[ResourceId]) -> Result<Vm, Outcome> {
    let state = execution.state();
    let id = place_of(about).ok_or_else(not_found)?;
    let named = execution.resources.first().is_none_or(|named| named.id == *id);
    let is_command = (execution.ports.facts)(tool).is_some_and(ToolSpec::is_command);
    let known = state.vm(id).filter(|vm| execution.visibility().vm(vm) && named && is_command);
    known.cloned().ok_or_else(not_found)
}

/// A command as the views have it, and its VM.
pub(super) async fn find(execution: &Execution, id: &str) -> Result<(CallRecord, Vm), Outcome> {
    let call: CallId = id.parse().map_err(|_| not_found())?;
    let found = execution.ports.activity.call(&execution.visibility(), &call).await?;
    let record = found.ok_or_else(not_found)?;
    let vm = vm_of(execution, &record.tool, &record.resources)?;
    Ok((record, vm))
}
