//! `vm_import`: gives a provider's machine to an account.

use serde::Deserialize;
use serde_json::json;

use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::{AccountId, VmId};
use crate::core::label::canonical;
use crate::core::principal::Side;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::scrub::holds_token;
use crate::core::state::ControlState;
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
    let mut args: Args = execution.arguments()?;
    if holds_token(&args.machine) {
        // The leaf has it, and nothing is ever taken out of a leaf.
        return Err(Refusal::new(Code::ValidationFailed, "The machine's name has an access token in it.").into());
    }
    args.label = canonical(&args.label).map_err(|error| {
        let details = json!({ "faults": [{ "path": "/label", "rule": error.to_string() }] });
        Refusal::new(Code::ValidationFailed, "The argument at /label cannot be taken.").details(details)
    })?;
    let compute = execution.ports.compute.get(args.provider.as_str());
    let compute = compute.ok_or_else(|| Refusal::new(Code::NotFound, "There is no such provider."))?;
    compute.get(&MachineRef(args.machine.clone())).await?;
    let vm = VmId::new(execution.ports.clock.now(), &*execution.ports.entropy);
    let Args { account, provider, machine, label } = args.clone();
    let kind = Kind::VmImported { vm: vm.clone(), account: account.clone(), provider: provider.into(), machine: machine.into() };
    let change = Record::noted(&execution, &account, kind, json!({ "label": label })).await?;
    let wanted = args.clone();
    record(&execution, vec![change], move |state| fault(state, &wanted)).await?;
    Ok(json!({
        "vm_id": vm, "account": args.account, "provider": args.provider, "machine": args.machine, "label": args.label,
    }))
}

fn fault(state: &ControlState, wanted: &Args) -> Option<Refusal> {
    if state.accounts.get(&wanted.account).is_none_or(|account| account.side != Side::Customer) {
        return Some(Refusal::new(Code::NotFound, "There is no such account of a customer."));
    }
    if state.vm_on(&wanted.provider, &wanted.machine).is_some() {
        return Some(Refusal::new(Code::Conflict, "The machine is a VM of an account already."));
    }
    let taken = state.vms_labelled(&wanted.account, &wanted.label).next().is_some();
    taken.then(|| Refusal::new(Code::Conflict, "The account has a VM of that label already."))
}
