//! `vm_rename`: changes the host name that a VM has at its provider, which keeps the call's id with the change (P4).
//!
//! INVARIANT: the label stays. It is what an account calls the VM here, and what a person is shown and types before data is
//! destroyed: an agent does not choose it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::id::VmId;
use crate::core::noun::vm::vm_not_found;
use crate::core::redact::Sensitivity::Public;
use crate::core::resource::Resource;
use crate::core::scope::Scope;
use crate::core::tool::EffectKind;
use crate::providers::compute::Hostname;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Phrase, Route, write};

pub(super) static RENAME: Operation<Args, Output> = write("vm_rename")
    .scope(Scope::VmsWrite)
    .title("Rename a VM")
    .about(
        "Changes a VM's host name at its provider; its label stays. A running guest may keep the old name until it has been \
         stopped and started.",
    )
    .acts("rename to {hostname}")
    .on_a_vm()
    .leaves(EffectKind::Change)
    .rest(Route::patch("/vms/{id}").naming("id", "vm_id"))
    .run(|execution, args| Box::pin(rename(execution, args)))
    .phrase("RENAME <vm_id> TO <hostname>, with the VM's id.", phrase);

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The new name, such as web-1.example.com: labels of a-z, 0-9 and inner hyphens, 63 characters in all, not ending in a
    /// number.
    #[schemars(extend("x-class" = Public))]
    hostname: Hostname,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The VM.
    #[schemars(extend("x-class" = Public))]
    vm_id: VmId,
    /// What it is called in its network now.
    #[schemars(extend("x-class" = Public))]
    hostname: Hostname,
    /// What it was called before.
    #[schemars(extend("x-class" = Public))]
    previous_hostname: String,
}

fn phrase(Args { hostname }: &Args, vm: &Resource) -> Phrase {
    Phrase {
        text: format!("RENAME {} TO {hostname}", vm.id),
        effect: "Whatever finds the VM by its old host name no longer does.",
    }
}

async fn rename(execution: Execution, Args { hostname }: Args) -> Result<Output, Outcome> {
    let compute = execution.compute()?;
    let (machine, vm_id) = (execution.machine()?, execution.vm().ok_or_else(vm_not_found)?.id);
    let previous_hostname = compute.get(&machine).await?.hostname;
    let permit = execution.leave()?;
    compute.rename(&machine, &hostname, execution.call(), permit).await?;
    Ok(Output { vm_id, hostname, previous_hostname })
}
