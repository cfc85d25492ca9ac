//! `vm_get` and `vm_stats_get`: one VM, as its provider sees it now.

use serde_json::{Value, json};

use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, maybe};
use crate::tools::vm::fleet::Seen;
use crate::tools::{Execution, Tool, facts, register};

static GET: ToolFacts = facts::read("vm_get", Some(Scope::VmsRead));
static STATS: ToolFacts = facts::read("vm_stats_get", Some(Scope::VmsRead));

pub(super) fn tool() -> Tool {
    let output = Shape::new()
        .must("vm_id", Public, any("string", "The VM."))
        .must("label", Content, any("string", "Its name for people."))
        .must("provider", Public, any("string", "Which provider has it."))
        .must("simulation", Public, any("boolean", "The provider is a simulation: there is no real machine."))
        .must("exec_enabled", Public, any("boolean", "Command execution is on."))
        .must("power", Public, any("string", "running, stopped, paused or unknown."))
        .must("os", Content, maybe("string", "Operating system."))
        .must("region", Content, maybe("string", "Where it stands."))
        .must("ipv4", Content, maybe("string", "First address."))
        .must("vcpu", Public, maybe("integer", "Virtual processors."))
        .must("memory_mib", Public, maybe("integer", "Memory in MiB."))
        .must("disk_gib", Public, maybe("integer", "Disk in GiB."))
        .must("power_actions", Public, any("array", "What vm_power can do to it."))
        .must("guest_commands", Public, any("boolean", "The provider can run commands in it."));
    let face = Face { title: "Get a VM", description: "Shows one VM: power, sizes, address, and what can be done to it." };
    register::tool(&GET, face, Shape::new().vm(), output, handler!(get))
}

async fn get(execution: Execution) -> Answer {
    let compute = execution.compute()?;
    let machine = compute.get(&execution.machine()?).await?;
    let can = compute.capabilities();
    let vm = execution.vm.clone().ok_or_else(crate::core::decide::vm_not_found)?;
    let mut shown = Seen { vm, machine: Some(machine), simulation: can.simulation }.document();
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("power_actions".into(), json!(can.power));
        fields.insert("guest_commands".into(), json!(can.guest));
    }
    Ok(shown)
}

pub(super) fn stats_tool() -> Tool {
    let output = Shape::new()
        .must("vm_id", Public, any("string", "The VM."))
        .must("power", Public, any("string", "running, stopped, paused or unknown."))
        .must(
            "live",
            Public,
            maybe("object", "What the guest says of itself; null if it is quiet, which is not the same as off."),
        );
    let face = Face {
        title: "Figures of a VM",
        description: "Shows power state and, if the guest answers, uptime, load and memory. live is null when the guest does not \
                      answer; power is known all the same.",
    };
    register::tool(&STATS, face, Shape::new().vm(), output, handler!(stats))
}

async fn stats(execution: Execution) -> Answer {
    let stats = execution.compute()?.stats(&execution.machine()?).await?;
    let live = stats.live.map_or(Value::Null, |live| json!(live));
    Ok(json!({ "vm_id": execution.vm.as_ref().map(|vm| &vm.id), "power": stats.power, "live": live }))
}
