//! `vm_exec_set`: turns command execution on a VM on or off. Off on every VM until somebody says the exact phrase.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::commands::vm::SetExec;
use crate::core::id::VmId;
use crate::core::noun::vm::vm_not_found;
use crate::core::redact::Sensitivity::Public;
use crate::core::resource::Resource;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Phrase, write};
use crate::tools::record::change;

pub(super) static SET: Operation<Args, Output> = write("vm_exec_set")
    .scope(Scope::VmsExec)
    .executes()
    .title("Turn command execution on or off")
    .about(
        "Turns command execution on a VM on or off. It is off at first; a key can turn it on only in an account that allows \
         that.",
    )
    .acts("turn commands {enabled}")
    .on_a_vm()
    .run(|execution, args| Box::pin(set(execution, args)))
    .phrase("ENABLE MCP EXEC <vm_id> or DISABLE MCP EXEC <vm_id>, with the VM's id.", phrase)
    .enables_exec(|args| args.enabled);

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// true: on; false: off.
    #[schemars(extend("x-class" = Public))]
    enabled: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The VM.
    #[schemars(extend("x-class" = Public))]
    vm_id: VmId,
    /// Whether command execution is on now.
    #[schemars(extend("x-class" = Public))]
    exec_enabled: bool,
}

fn phrase(args: &Args, vm: &Resource) -> Phrase {
    let id = &vm.id;
    if args.enabled {
        let effect = "Agents will be able to run commands as root in this VM.";
        Phrase { text: format!("ENABLE MCP EXEC {id}"), effect }
    } else {
        let effect = "Agents will no longer be able to run commands in this VM.";
        Phrase { text: format!("DISABLE MCP EXEC {id}"), effect }
    }
}

async fn set(execution: Execution, Args { enabled }: Args) -> Result<Output, Outcome> {
    let (vm, account) = (execution.vm().ok_or_else(vm_not_found)?.id, execution.principal.account.clone());
    change(&execution, None, SetExec { vm: vm.clone(), account, enabled }).await?;
    Ok(Output { vm_id: vm, exec_enabled: enabled })
}
