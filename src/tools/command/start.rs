//! `command_start`: queues a command. Any worker runs it to its end and records what became of it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{output, run};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::scrub::holds_token;
use crate::core::state::Vm;
use crate::core::tool::{Class, Risk, Timing, ToolFacts};
use crate::providers::compute::JobSpec;
use crate::tools::outcome::Answer;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, maybe, number_or, text};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = ToolFacts {
    timing: Timing::Queued,
    claims_vm: true,
    needs_exec: true,
    ..facts::write("command_start", Some(Scope::VmsExec), Class::Exec, Risk::R2)
};

/// Longest command; what is recorded of a call has to hold all of it, for a worker reads it from there.
const LONGEST: usize = 8 * 1024;

/// Two hours for the command, and what it takes to see its end and read its output.
const LIMIT: Duration = Duration::from_mins(125);

pub(super) fn tool() -> Tool {
    let limit = "Seconds after which the guest ends the command.";
    let directory = json!({
        "type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^/[^\\u0000]*$",
        "description": "Absolute directory to run it in.",
    });
    let input = Shape::new()
        .vm()
        .must("command", Content, text("Text for the guest's shell, run as root.", LONGEST))
        .may("timeout_seconds", Public, number_or(limit, 1, 7200, 1800))
        .may("label", Content, text("A name for people.", 100))
        .may("working_directory", Content, directory)
        .keyed();
    let face = Face {
        title: "Start a command",
        description: "Starts a shell command in a VM and answers at once with its command_id. One command runs on a VM at a \
                      time. Shell text with access tokens in it is refused, because it is recorded.",
    };
    Tool { guard, time_limit: LIMIT, ..register::tool(&FACTS, face, input.read_as::<Args>(), result(), handler!(start)) }
}

fn result() -> Shape {
    Shape::new()
        .must("command_id", Public, any("string", "The command."))
        .must("exit_code", Public, maybe("integer", "Exit code of the shell; null if it was ended."))
        .must(
            "left_running",
            Public,
            any("integer", "Processes that the command left running. They run on; what they write is dropped."),
        )
        .must("timed_out", Public, any("boolean", "It was ended because its time was over."))
        .must("duration_ms", Public, any("integer", "How long it took."))
        .must("stdout_bytes", Public, maybe("integer", "Size of the standard output. Null if there was a secret in it."))
        .must("stderr_bytes", Public, maybe("integer", "Size of the standard error. Null if there was a secret in it."))
        .must("stdout_truncated", Public, any("boolean", "There was more than the guest keeps."))
        .must("stderr_truncated", Public, any("boolean", "There was more than the guest keeps."))
        .must("stdout_sha256", Public, maybe("string", "SHA-256 of the standard output."))
        .must("stderr_sha256", Public, maybe("string", "SHA-256 of the standard error."))
        .must("stdout_head", Content, any("string", "Its first 4 KiB."))
        .must("stdout_tail", Content, any("string", "Its last 4 KiB, without what the head has."))
        .must("stderr_head", Content, any("string", "Its first 4 KiB."))
        .must("stderr_tail", Content, any("string", "Its last 4 KiB, without what the head has."))
}

/// The command waits for a worker, and is recorded meanwhile. A secret that is known by its place alone is sealed until then.
fn guard(args: &Value, _: Option<&Vm>) -> Option<Refusal> {
    let holds = |field: &str| args[field].as_str().is_some_and(holds_token);
    if !holds("command") && !holds("working_directory") {
        return None;
    }
    let text = "The command has an access token or a private key in it, which would be recorded.";
    Some(Refusal::new(Code::ValidationFailed, text).hint("Let the command read it from a file in the guest."))
}

#[derive(Deserialize)]
struct Args {
    command: String,
    #[serde(default = "half_an_hour")]
    timeout_seconds: u64,
    working_directory: Option<String>,
}

fn half_an_hour() -> u64 {
    1800
}

async fn start(execution: Execution) -> Answer {
    let Args { command, timeout_seconds, working_directory } = execution.arguments()?;
    let job = JobSpec { command, working_directory, time_limit: Duration::from_secs(timeout_seconds) };
    let ran = run::run(&execution, &job).await?;
    let mut fields = output::record(&ran, execution.call()).await;
    fields.insert("command_id".into(), json!(execution.call()));
    fields.insert("exit_code".into(), json!(ran.exit_code));
    fields.insert("left_running".into(), json!(ran.status.left_running));
    fields.insert("timed_out".into(), json!(ran.exit_code.is_none()));
    fields.insert("duration_ms".into(), json!(u64::try_from(ran.duration.as_millis()).unwrap_or(u64::MAX)));
    let result = Value::Object(fields);
    if ran.exit_code.is_some() { Ok(result) } else { Err(Outcome::TimedOut(result.into())) }
}
