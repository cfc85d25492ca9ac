//! `vm_import`: gives a provider's machine to an account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::vm::{Import, ImportVm};
use crate::core::id::{AccountId, VmId};
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::tool::ProviderAccess;
use crate::providers::compute::MachineRef;
use crate::tools::Execution;
use crate::tools::declare::{Operation, administration};
use crate::tools::record::{change, note};

pub(super) static IMPORT: Operation<Args, Output> = administration("vm_import")
    .scope(Scope::StaffTokens)
    .title("Import a VM")
    .about("Gives a machine that a provider has and nobody owns to an account.")
    .reaches(ProviderAccess::Named("provider"))
    .run(|execution, args| Box::pin(import(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The account that is to own it.
    #[schemars(extend("x-class" = Public))]
    account: AccountId,
    /// The provider that has the machine.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 40))]
    provider: String,
    /// The provider's own name for it.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 200))]
    machine: String,
    /// Name for people; unique within the account.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    label: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The VM from now on.
    #[schemars(extend("x-class" = Public))]
    vm_id: VmId,
    /// Whose it is.
    #[schemars(extend("x-class" = Public))]
    account: AccountId,
    /// Which provider has it.
    #[schemars(extend("x-class" = Public))]
    provider: String,
    /// The provider's name for it.
    #[schemars(extend("x-class" = Public))]
    machine: String,
    /// Its name for people.
    #[schemars(extend("x-class" = Content))]
    label: String,
}

async fn import(execution: Execution, args: Args) -> Result<Output, Outcome> {
    let Args { account, provider, machine, label } = args;
    let import = Import::of(account, provider, machine, &label)?;
    let is_there = execution.ports.provider(&import.provider).is_some();
    let compute = if is_there { execution.provider(&import.provider)? } else { None };
    let compute = compute.ok_or_else(|| Refusal::new(Code::NotFound, "There is no such provider."))?;
    compute.get(&MachineRef(import.machine.clone())).await?;
    let vm_id = VmId::new(execution.ports.clock.now(), &*execution.ports.entropy);
    let note = note(&execution, &import.account, json!({ "label": import.label })).await?;
    let command = ImportVm { vm: vm_id.clone(), import: import.clone(), event: note.id() };
    change(&execution, [note], command).await?;
    let Import { account, provider, machine, label } = import;
    Ok(Output { vm_id, account, provider, machine, label })
}
