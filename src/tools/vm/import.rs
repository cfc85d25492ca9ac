//! `vm_import`: gives a provider's machine to an account.

use serde::Deserialize;
use serde_json::json;

use crate::core::code::Code;
use crate::core::id::{AccountId, VmId};
use crate::core::importing::Import;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::providers::compute::MachineRef;
use crate::tools::outcome::Answer;
use crate::tools::record::{Record, record};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id, text};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::control("vm_import", Some(Scope::StaffTokens));

pub(super) fn tool() -> Tool {
    let input = Shape::new()
        .must("account", Public, id("acc", "The account that is to own it."))
        .must("provider", Public, text("The provider that has the machine.", 40))
        .must("machine", Public, text("The provider's own name for it.", 200))
        .must("label", Content, text("Name for people; unique within the account.", 64))
        .keyed();
    let output = Shape::new()
        .must("vm_id", Public, any("string", "The VM from now on."))
        .must("account", Public, any("string", "Whose it is."))
        .must("provider", Public, any("string", "Which provider has it."))
        .must("machine", Public, any("string", "The provider's name for it."))
        .must("label", Content, any("string", "Its name for people."));
    let face = Face { title: "Import a VM", description: "Gives a machine that a provider has and nobody owns to an account." };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(import))
}

#[derive(Clone, Deserialize)]
struct Args {
    account: AccountId,
    provider: String,
    machine: String,
    label: String,
}

async fn import(execution: Execution) -> Answer {
    let Args { account, provider, machine, label } = execution.arguments()?;
    let import = Import::of(account, provider, machine, &label)?;
    let compute = execution.ports.compute.get(import.provider.as_str());
    let compute = compute.ok_or_else(|| Refusal::new(Code::NotFound, "There is no such provider."))?;
    compute.get(&MachineRef(import.machine.clone())).await?;
    let vm = VmId::new(execution.ports.clock.now(), &*execution.ports.entropy);
    let note = json!({ "label": import.label });
    let change = Record::noted(&execution, &import.account, import.event(vm.clone()), note).await?;
    let wanted = import.clone();
    record(&execution, vec![change], move |state| wanted.fault(state)).await?;
    let Import { account, provider, machine, label } = import;
    Ok(json!({ "vm_id": vm, "account": account, "provider": provider, "machine": machine, "label": label }))
}
