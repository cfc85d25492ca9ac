//! `operation_get` and `operation_wait`: how a call stands and what came of it.
//!
//! INVARIANT: a call that the caller may not see looks exactly like one that does not exist (P9).

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::outcome::Answer;
use super::register::{Face, handler};
use super::shape::{Shape, any, maybe, number_or, text};
use super::{CallRecord, Execution, Tool, facts, instant, register};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::tool::ToolFacts;
use crate::log::admission::job_row;

/// Why these need no scope.
const OWN: &str =
    "Who makes a call learns what became of it. Calls of others take audit:read, which is looked at with whose they are.";

static GET: ToolFacts = facts::open(facts::read("operation_get", None), OWN);
static WAIT: ToolFacts = facts::open(facts::read("operation_wait", None), OWN);

/// How often an open call is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Longest wait, and what it takes to answer.
const LIMIT: Duration = Duration::from_mins(1);

/// The tools of this noun.
pub(super) fn tools() -> Vec<Tool> {
    vec![get_tool(), wait_tool()]
}

fn get_tool() -> Tool {
    let input = Shape::new().must("operation_id", Content, text("The call.", 64));
    let face = Face {
        title: "Get an operation",
        description: "Shows how a call stands and, once it has ended, its recorded result or error. Calls of other keys of the \
                      account are shown to keys with the scope audit:read that are not limited to some VMs.",
    };
    register::tool(&GET, face, input.read_as::<Args>(), shown(), handler!(get))
}

fn wait_tool() -> Tool {
    let about = "Seconds after which the answer is how the call stands then.";
    let input = Shape::new().must("operation_id", Content, text("The call.", 64)).may(
        "timeout_seconds",
        Public,
        number_or(about, 1, 45, 20),
    );
    let face =
        Face { title: "Wait for an operation", description: "Waits until a call has ended, then shows it like operation_get." };
    Tool { time_limit: LIMIT, ..register::tool(&WAIT, face, input.read_as::<Args>(), shown(), handler!(wait)) }
}

fn shown() -> Shape {
    Shape::new()
        .must("operation_id", Public, any("string", "The call."))
        .must("tool", Public, any("string", "What was called."))
        .must("vm_id", Public, maybe("string", "The VM it named."))
        .must(
            "status",
            Public,
            any("string", "queued, running, held, succeeded, failed, refused, cancelled, timed_out or unknown."),
        )
        .must("code", Public, maybe("string", "Why it did not succeed."))
        .must("at", Public, any("string", "When it was asked for."))
        .must("ended_at", Public, maybe("string", "When it ended."))
        .must(
            "result",
            Content,
            json!({ "description": "Its recorded result, without secrets and with long texts shortened; null if it has none." }),
        )
        .must("failure", Content, maybe("object", "Its recorded error."))
}

#[derive(Deserialize)]
struct Args {
    operation_id: String,
    #[serde(default = "some_seconds")]
    timeout_seconds: u64,
}

fn some_seconds() -> u64 {
    20
}

async fn get(execution: Execution) -> Answer {
    let Args { operation_id, .. } = execution.arguments()?;
    let record = find(&execution, &operation_id).await?;
    document(&execution, record).await
}

async fn wait(execution: Execution) -> Answer {
    let Args { operation_id, timeout_seconds } = execution.arguments()?;
    let mut record = find(&execution, &operation_id).await?;
    let until = execution.ports.clock.elapsed() + Duration::from_secs(timeout_seconds);
    while !record.status.is_terminal() && execution.ports.clock.elapsed() < until {
        let row = job_row(&record.call_id);
        let open = !execution.ports.reader.store.state_rows(&[row]).await?.is_empty();
        execution.report(0.0, None, record.status.as_str());
        if open && execution.cancel.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            return Err(Outcome::Cancelled(Code::Cancelled));
        }
        if !open {
            record = find(&execution, &operation_id).await?;
            break;
        }
    }
    if !record.status.is_terminal() {
        record = find(&execution, &operation_id).await?;
    }
    document(&execution, record).await
}

fn not_found() -> Outcome {
    Refusal::new(Code::OperationNotFound, "There is no such operation.").into()
}

async fn find(execution: &Execution, id: &str) -> Result<CallRecord, Outcome> {
    let call: CallId = id.parse().map_err(|_| not_found())?;
    execution.ports.activity.call(&execution.sight(), &call).await?.ok_or_else(not_found)
}

async fn document(execution: &Execution, record: CallRecord) -> Answer {
    let recorded = match record.end {
        Some(_) => execution.ports.reader.result_of(&record.call_id, &execution.sight()).await?.unwrap_or_default(),
        None => Value::Null,
    };
    let failure = recorded.get("error").cloned();
    Ok(json!({
        "operation_id": record.call_id,
        "tool": record.tool,
        "vm_id": record.vm,
        "status": record.status,
        "code": record.code,
        "at": record.at.document(),
        "ended_at": instant::render_maybe(record.ended_at),
        "result": if failure.is_some() { Value::Null } else { recorded },
        "failure": failure,
    }))
}
