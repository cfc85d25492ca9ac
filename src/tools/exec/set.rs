//! `vm_exec_set`: turns command execution on a VM on or off. Off on every VM until somebody says the exact phrase.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::decide::vm_not_found;
use crate::core::event::Kind;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::state::Vm;
use crate::core::tool::{Class, Risk, ToolFacts};
use crate::tools::outcome::Answer;
use crate::tools::record::{Record, record};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, flag, text};
use crate::tools::{Execution, Tool, facts, guard, register};

static FACTS: ToolFacts = facts::write("vm_exec_set", Some(Scope::VmsExec), Class::Exec, Risk::R3p);

pub(super) fn tool() -> Tool {
    let input = Shape::new()
        .vm()
        .must("enabled", Public, flag("true turns command execution on, false off."))
        .may("confirmation", Content, text("ENABLE MCP EXEC <vm_id> or DISABLE MCP EXEC <vm_id>, with the VM's id.", 64))
        .keyed();
    let output = Shape::new().must("vm_id", Public, any("string", "The VM.")).must(
        "exec_enabled",
        Public,
        any("boolean", "Whether command execution is on now."),
    );
    let face = Face {
        title: "Turn command execution on or off",
        description: "Turns command execution on a VM on or off, with an exact phrase. It is off on every VM at first; a key can \
                      turn it on only in an account that allows that.",
    };
    Tool { guard, enables_exec, ..register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(set)) }
}

fn enables_exec(args: &Value) -> bool {
    args["enabled"] == json!(true)
}

fn guard(args: &Value, vm: Option<&Vm>) -> Option<Refusal> {
    let id = &vm?.id;
    let (phrase, effect) = if enables_exec(args) {
        (format!("ENABLE MCP EXEC {id}"), "Agents will be able to run commands as root in this VM.")
    } else {
        (format!("DISABLE MCP EXEC {id}"), "Agents will no longer be able to run commands in this VM.")
    };
    guard::phrase(args, vm, &phrase, effect)
}

#[derive(Deserialize)]
struct Args {
    enabled: bool,
}

async fn set(execution: Execution) -> Answer {
    let Args { enabled } = execution.arguments()?;
    let (vm, account) = (execution.admitted.vm().cloned().ok_or_else(vm_not_found)?, execution.principal.account.clone());
    let change = Record::plain(&execution, Kind::VmExecSet { vm: vm.clone(), enabled });
    let wanted = vm.clone();
    record(&execution, vec![change], move |state| {
        let own = state.vms.get(&wanted).is_some_and(|row| row.account == account);
        (!own).then(vm_not_found)
    })
    .await?;
    Ok(json!({ "vm_id": vm, "exec_enabled": enabled }))
}
