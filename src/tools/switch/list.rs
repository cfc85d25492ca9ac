//! `switch_list`: the switches in force.

use serde_json::{Value, json};

use crate::core::id::UserId;
use crate::core::redact::Sensitivity::Content;
use crate::core::scope::Scope;
use crate::core::switch::Switch;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::fresh;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any};
use crate::tools::{Execution, Tool, facts, instant, register};

static FACTS: ToolFacts = facts::stop(facts::control("switch_list", Some(Scope::StaffSwitch)));

pub(super) fn tool() -> Tool {
    let output = Shape::new().must("items", Content, any("array", "The switches in force, oldest first."));
    let face = Face { title: "List kill switches", description: "Lists the switches in force, with who engaged them and why." };
    register::tool(&FACTS, face, Shape::new(), output, handler!(list))
}

async fn list(execution: Execution) -> Answer {
    let (state, now) = (fresh(&execution).await?, execution.ports.clock.now());
    let items: Vec<Value> = state
        .switches
        .values()
        .filter(|switch| !switch.is_over(now))
        .map(|switch| shown(switch, state.wish_to_release(switch, now)))
        .collect();
    Ok(json!({ "items": items }))
}

fn shown(switch: &Switch, wish: Option<&UserId>) -> Value {
    json!({
        "id": switch.id,
        "target": switch.target,
        "reason": switch.reason,
        "message": switch.message,
        "by": switch.by,
        "incident": switch.incident,
        "running": switch.running,
        "engaged_at": switch.engaged_at.document(),
        "expires_at": instant::render_maybe(switch.expires_at),
        "ramp": switch.ramp.map(|ramp| json!({ "since": ramp.since.document(), "until": ramp.until.document() })),
        "release_requested_by": wish,
        "needs_second_person": switch.target.is_global(),
    })
}
