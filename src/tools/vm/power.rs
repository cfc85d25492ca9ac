//! `vm_power`: turning a VM on and off. The provider keeps the call's id with the change, so that a lost answer can be
//! looked up later (P4).

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::state::Vm;
use crate::core::tool::{Class, Risk, ToolFacts};
use crate::providers::compute::PowerAction;
use crate::tools::outcome::Answer;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, choice, flag};
use crate::tools::{Execution, Tool, facts, guard, register};

static FACTS: ToolFacts = facts::write("vm_power", Some(Scope::VmsPower), Class::Write, Risk::R3);

/// A guest that is asked to turn itself off may take its time.
const LIMIT: Duration = Duration::from_mins(2);

pub(super) fn tool() -> Tool {
    let actions = "start turns on; shutdown and reboot ask the guest; stop and reset cut the power.";
    let input = Shape::new()
        .vm()
        .must("action", Public, choice(actions, &["start", "shutdown", "reboot", "stop", "reset"]))
        .may("confirm", Public, flag("true: the interruption of service is intended. Not needed for start."))
        .keyed();
    let output = Shape::new()
        .must("vm_id", Public, any("string", "The VM."))
        .must("action", Public, any("string", "What was done."))
        .must("power", Public, any("string", "Power state afterwards."));
    let face = Face {
        title: "Change a VM's power",
        description: "Starts, shuts down, reboots, stops or resets a VM and answers when that is complete. Everything but start \
                      interrupts service and takes confirm: true; stop and reset may lose unsaved data.",
    };
    Tool { guard, time_limit: LIMIT, ..register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(change)) }
}

#[derive(Deserialize)]
struct Args {
    action: PowerAction,
}

fn guard(args: &Value, vm: Option<&Vm>) -> Option<Refusal> {
    let effect = match args["action"].as_str()? {
        "shutdown" => "The guest is asked to turn itself off; its services end.",
        "reboot" => "The guest is asked to restart; its services are interrupted.",
        "stop" => "The power is cut; unsaved data is lost and services end.",
        "reset" => "The power is cut and turned on again; unsaved data is lost.",
        _ => return None,
    };
    guard::confirm(args, vm, effect)
}

async fn change(execution: Execution) -> Answer {
    let Args { action } = execution.arguments()?;
    let compute = execution.compute()?;
    if !compute.capabilities().power.contains(&action) {
        return Err(Refusal::new(Code::NotImplemented, "The VM's provider cannot do this.").into());
    }
    let machine = execution.machine()?;
    execution.report(0.0, Some(1.0), "asking the provider");
    let permit = execution.leave()?;
    compute.power(&machine, action, execution.call(), permit).await?;
    execution.report(1.0, Some(1.0), "done");
    // It has happened, whatever the provider answers to a look at it.
    let power = compute.get(&machine).await.map_or(json!("unknown"), |seen| json!(seen.power));
    Ok(json!({ "vm_id": execution.admitted.vm(), "action": action, "power": power }))
}
