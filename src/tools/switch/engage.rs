//! `switch_engage`: a person stops what a target covers, on every node.

use serde::Deserialize;
use serde_json::json;

use super::drain::{self, Engagement};
use super::fenced;
use crate::core::code::Code;
use crate::core::engagement::{INCIDENT, MESSAGE, Proposed, REASON};
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::switch::{Running, Target};
use crate::core::time::Micros;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::register::{self, Face, handler};
use crate::tools::shape::{Shape, any, choice, moment, text};
use crate::tools::{Execution, Tool, facts, instant};

static FACTS: ToolFacts = facts::stop(facts::control("switch_engage", Some(Scope::StaffSwitch)));

pub(super) fn tool() -> Tool {
    let target =
        "What to stop: all, class:exec|write|destroy, tool:NAME, provider:NAME, account:ID, credential:ID, vm:ID or vm:ID/exec.";
    let running = "What becomes of calls that run: let_finish or cancel.";
    let input = Shape::new()
        .must("target", Public, text(target, 120))
        .must("reason", Content, text("Why, for staff.", REASON))
        .may("message", Content, text("What a refused caller is told.", MESSAGE))
        .may("incident", Content, text("Reference of the incident.", INCIDENT))
        .may("expires_at", Public, moment("When it ends by itself."))
        .may("running", Public, choice(running, &["let_finish", "cancel"]))
        .keyed();
    let output = Shape::new()
        .must("id", Public, any("string", "The switch."))
        .must("target", Public, any("string", "What it stops."))
        .must("epoch", Public, any("integer", "Every admission at or after this epoch knows the switch."))
        .must("fenced", Public, any("boolean", "No node starts what it covers any more."))
        .must(
            "nodes",
            Public,
            any("array", "Each node: confirmed, and when; or expired, because its lease ran out; or still waited for."),
        )
        .must(
            "cancelled",
            Public,
            any(
                "integer",
                "How many calls it ended: those that waited, and with running=cancel those that ran, which were told to end.",
            ),
        );
    let face = Face {
        title: "Engage a kill switch",
        description: "Stops what the target covers, on every node, and ends the calls that wait. fenced says that no node starts \
                      any of it any more.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(engage))
}

#[derive(Deserialize)]
struct Args {
    target: String,
    reason: String,
    message: Option<String>,
    incident: Option<String>,
    #[serde(default, deserialize_with = "instant::read")]
    expires_at: Option<Micros>,
    #[serde(default = "let_finish")]
    running: Running,
}

fn let_finish() -> Running {
    Running::LetFinish
}

async fn engage(execution: Execution) -> Answer {
    let Args { target, reason, message, incident, expires_at, running } = execution.arguments()?;
    let target: Target = target.parse().map_err(|error| Refusal::new(Code::ValidationFailed, format!("{error}.")))?;
    let by = Some(execution.principal.user.clone());
    let proposed = Proposed { target: target.clone(), reason, message, incident, expires_at };
    let engaged = drain::engage(&execution, vec![Engagement { proposed, running, by, once: false }]).await?;
    let fenced = fenced::wait(&execution, engaged.epoch).await.ok();
    Ok(json!({
        "id": engaged.switches.first(),
        "target": target,
        "epoch": engaged.epoch,
        "fenced": fenced.as_ref().is_some_and(fenced::Fenced::is_complete),
        "nodes": fenced.map_or_else(|| json!([]), |fenced| fenced.nodes()),
        "cancelled": engaged.cancelled,
    }))
}
