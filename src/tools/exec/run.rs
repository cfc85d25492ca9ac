//! `vm_exec`: runs a short command and answers with its output.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::core::call::Outcome;
use crate::core::id::CallId;
use crate::core::redact::Sensitivity::{Content, Excerpt, Public};
use crate::core::scope::Scope;
use crate::core::scrub::ScrubbedText;
use crate::core::shown::Shown;
use crate::core::tool::{Class, Risk, ToolFacts};
use crate::providers::compute::{JobSpec, Stream};
use crate::tools::command::output::Source;
use crate::tools::command::run::{self, Ran};
use crate::tools::outcome::ShownAnswer;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, maybe, number_or, text};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts =
    ToolFacts { claims_vm: true, needs_exec: true, ..facts::write("vm_exec", Some(Scope::VmsExec), Class::Exec, Risk::R2) };

/// How much of each output is answered.
const MOST: u32 = 64 * 1024;

/// A minute for the command, and what it takes to see its end.
const LIMIT: Duration = Duration::from_secs(90);

pub(super) fn tool() -> Tool {
    let limit = "Seconds after which the guest ends the command.";
    let input = Shape::new()
        .vm()
        .must("command", Content, text("Text for the guest's shell, run as root.", 32_768))
        .may("timeout_seconds", Public, number_or(limit, 1, 60, 30))
        .keyed();
    let face = Face {
        title: "Run a short command",
        description: "Runs a shell command in a VM and answers with its exit code and at most 64 KiB of each output; command_logs \
                      reads the rest. One command runs on a VM at a time.",
    };
    Tool { time_limit: LIMIT, ..register::tool(&FACTS, face, input.read_as::<Args>(), result(), handler!(exec)) }
}

fn result() -> Shape {
    Shape::new()
        .must("command_id", Public, any("string", "The command, for command_logs."))
        .must("exit_code", Public, maybe("integer", "Exit code of the shell; null if it was ended."))
        .must(
            "left_running",
            Public,
            any("integer", "Processes that the command left running. They run on; what they write is dropped."),
        )
        .must("timed_out", Public, any("boolean", "It was ended because its time was over."))
        .must("duration_ms", Public, any("integer", "How long it took."))
        .must("stdout", Excerpt, any("string", "Standard output; what is not UTF-8 is replaced."))
        .must("stderr", Excerpt, any("string", "Standard error; what is not UTF-8 is replaced."))
        .must("stdout_truncated", Public, any("boolean", "There is more."))
        .must("stderr_truncated", Public, any("boolean", "There is more."))
        .must("stdout_utf8", Public, any("boolean", "Nothing had to be replaced."))
        .must("stderr_utf8", Public, any("boolean", "Nothing had to be replaced."))
        .must(
            "stdout_bytes",
            Public,
            maybe("integer", "Size of the standard output; null if this was read from the log, which has it of no secret."),
        )
        .must(
            "stderr_bytes",
            Public,
            maybe("integer", "Size of the standard error; null if this was read from the log, which has it of no secret."),
        )
        .must("stdout_sha256", Public, maybe("string", "SHA-256, if all of it is in the answer and UTF-8."))
        .must("stderr_sha256", Public, maybe("string", "SHA-256, if all of it is in the answer and UTF-8."))
}

#[derive(Deserialize)]
struct Args {
    command: String,
    #[serde(default = "half_a_minute")]
    timeout_seconds: u64,
}

fn half_a_minute() -> u64 {
    30
}

async fn exec(execution: Execution) -> ShownAnswer {
    let Args { command, timeout_seconds } = execution.arguments()?;
    let job = JobSpec { command, working_directory: None, time_limit: Duration::from_secs(timeout_seconds) };
    let ran = run::run(&execution, &job).await?;
    let mut fields = Map::new();
    fields.insert("command_id".into(), json!(execution.call()));
    fields.insert("exit_code".into(), json!(ran.exit_code));
    fields.insert("left_running".into(), json!(ran.status.left_running));
    fields.insert("timed_out".into(), json!(ran.exit_code.is_none()));
    fields.insert("duration_ms".into(), json!(u64::try_from(ran.duration.as_millis()).unwrap_or(u64::MAX)));
    let call = execution.call();
    let stdout = add_output(&mut fields, &ran, call, "stdout", Stream::Stdout, ran.status.stdout_bytes).await;
    let stderr = add_output(&mut fields, &ran, call, "stderr", Stream::Stderr, ran.status.stderr_bytes).await;
    let mut result = Shown::from(Value::Object(fields));
    for (name, record) in [("stdout", stdout), ("stderr", stderr)] {
        // Of what was blanked no digest is kept either: whoever has the rest could try what it was. Nor is its size, which
        // says how long that is; of what is not in the answer nobody has looked.
        if result.live_text(name) != Some(record.as_str()) || result.is_live(&format!("{name}_truncated")) {
            result.leave_out(format!("{name}_sha256"));
            result.leave_out(format!("{name}_bytes"));
        }
        result.record(name, record);
    }
    if ran.exit_code.is_some() { Ok(result) } else { Err(Outcome::TimedOut(result)) }
}

/// The command ran, whether its output can be read now or not: what cannot is marked as more to come. Gives what is
/// recorded of it.
async fn add_output(
    fields: &mut Map<String, Value>,
    ran: &Ran,
    call: &CallId,
    name: &str,
    stream: Stream,
    size: u64,
) -> ScrubbedText {
    let source = Source { guest: &*ran.guest, machine: &ran.machine, call, stream };
    let piece = source.piece(0, MOST, size).await.inspect_err(|error| {
        tracing::warn!(%error, call_id = %call, "an output cannot be read");
    });
    let (text, record, utf8, end) = piece.map_or_else(
        |_| (String::new(), ScrubbedText::default(), true, 0),
        |piece| (piece.text, piece.record, piece.utf8, piece.next),
    );
    let whole = end >= size;
    let digest = (whole && utf8).then(|| hex::encode(Sha256::digest(&text)));
    fields.insert(format!("{name}_truncated"), json!(!whole));
    fields.insert(format!("{name}_utf8"), json!(utf8));
    fields.insert(format!("{name}_bytes"), json!(size));
    fields.insert(format!("{name}_sha256"), json!(digest));
    fields.insert(name.to_owned(), json!(text));
    record
}
