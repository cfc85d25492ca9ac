//! Which commands a caller may see.
//!
//! INVARIANT: a command that the caller's sight does not reach looks exactly like one that does not exist (P9).

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::id::{CallId, VmId};
use crate::core::refusal::Refusal;
use crate::core::state::Vm;
use crate::tools::{CallRecord, Execution};

/// The tools whose calls are commands.
const COMMANDS: [&str; 2] = ["command_start", "vm_exec"];

/// What is told of a command that is absent, not owned, or not on the allow-list.
pub(super) fn not_found() -> Outcome {
    Refusal::new(Code::CommandNotFound, "There is no such command.").into()
}

/// The VM of a command, if the caller may see the command.
pub(super) fn vm_of(execution: &Execution, tool: &str, vm: Option<&VmId>) -> Result<Vm, Outcome> {
    let state = execution.state();
    let id = vm.ok_or_else(not_found)?;
    let named = execution.admitted.vm().is_none_or(|named| named == id);
    let known = state.vms.get(id).filter(|vm| execution.sight().vm(vm) && named && COMMANDS.contains(&tool));
    known.cloned().ok_or_else(not_found)
}

/// A command as the views have it, and its VM.
pub(super) async fn find(execution: &Execution, id: &str) -> Result<(CallRecord, Vm), Outcome> {
    let call: CallId = id.parse().map_err(|_| not_found())?;
    let found = execution.ports.activity.call(&execution.sight(), &call).await?;
    let record = found.ok_or_else(not_found)?;
    let vm_id = record.vm.as_deref().and_then(|vm| vm.parse().ok());
    let vm = vm_of(execution, &record.tool, vm_id.as_ref())?;
    Ok((record, vm))
}
