//! `command_get`: how a command stands and the end of its output; from the guest if it answers, else from the log.

use serde::Deserialize;
use serde_json::{Value, json};

use super::output::Source;
use super::{run, sight};
use crate::core::redact::Sensitivity::{Content, Excerpt, Public};
use crate::core::scope::Scope;
use crate::core::scrub::ScrubbedText;
use crate::core::shown::Shown;
use crate::core::state::Vm;
use crate::core::tool::ToolFacts;
use crate::providers::compute::{JobState, MachineRef, ProviderError, Stream};
use crate::tools::outcome::ShownAnswer;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, maybe, number_or, text};
use crate::tools::{CallRecord, Execution, Tool, facts, instant, register};

static FACTS: ToolFacts = facts::read("command_get", Some(Scope::VmsExec));

pub(super) fn tool() -> Tool {
    let input = Shape::new()
        .may("vm_id", Content, text("The VM, if the answer is to be about that one only.", 64))
        .must("command_id", Content, text("The command.", 64))
        .may("stdout_tail_bytes", Public, number_or("So much of the end of the standard output.", 0, 65_536, 8192))
        .may("stderr_tail_bytes", Public, number_or("So much of the end of the standard error.", 0, 65_536, 8192));
    let output = Shape::new()
        .must("command_id", Public, any("string", "The command."))
        .must("vm_id", Public, any("string", "The VM it is for."))
        .must("status", Public, any("string", "queued, running, succeeded, failed, refused, cancelled, timed_out or unknown."))
        .must("code", Public, maybe("string", "Why it did not succeed."))
        .must("exit_code", Public, maybe("integer", "Exit code of the shell, once it has ended by itself."))
        .must("left_running", Public, maybe("integer", "Processes that it left running, once it has ended by itself."))
        .must("at", Public, any("string", "When it was asked for."))
        .must("ended_at", Public, maybe("string", "When it ended."))
        .must("duration_ms", Public, maybe("integer", "How long it took."))
        .must("source", Public, any("string", "Where the output is from: guest, log (what was recorded of it) or none."))
        .must("stdout_bytes", Public, maybe("integer", "Size of the standard output so far."))
        .must("stderr_bytes", Public, maybe("integer", "Size of the standard error so far."))
        .must("stdout_tail", Excerpt, any("string", "The end of the standard output."))
        .must("stderr_tail", Excerpt, any("string", "The end of the standard error."))
        .must("next_stdout_offset", Public, maybe("integer", "Where command_logs goes on."))
        .must("next_stderr_offset", Public, maybe("integer", "Where command_logs goes on."));
    let face =
        Face { title: "Get a command", description: "Shows how a command stands, its exit code, and the end of its output." };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(get))
}

#[derive(Deserialize)]
struct Args {
    command_id: String,
    #[serde(default = "tail")]
    stdout_tail_bytes: u32,
    #[serde(default = "tail")]
    stderr_tail_bytes: u32,
}

fn tail() -> u32 {
    8192
}

async fn get(execution: Execution) -> ShownAnswer {
    let args: Args = execution.arguments()?;
    let (record, vm) = sight::find(&execution, &args.command_id).await?;
    let kept = recorded(&execution, &record).await?;
    let mut shown = json!({
        "command_id": record.call_id,
        "vm_id": vm.id,
        "status": record.status,
        "code": record.code,
        "exit_code": kept["exit_code"],
        "left_running": kept["left_running"],
        "at": record.at.document(),
        "ended_at": instant::render_maybe(record.ended_at),
        "duration_ms": kept["duration_ms"],
    });
    let Outputs { fields, stdout, stderr } = match live(&execution, &record, &vm, &args).await {
        Ok(live) => live,
        Err(error) => {
            tracing::debug!(%error, call_id = %record.call_id, "a guest does not show a command");
            from_log(&kept)
        }
    };
    if let (Some(shown), Value::Object(fields)) = (shown.as_object_mut(), fields) {
        shown.extend(fields);
    }
    let mut shown = Shown::from(shown);
    for (name, end) in [("stdout", &stdout), ("stderr", &stderr)] {
        // All of it has to be there, as it is, for its size to be recorded.
        let is_whole = shown.live_size(&format!("{name}_bytes")) == Some(end.as_str().len());
        if !is_whole || shown.live_text(&format!("{name}_tail")) != Some(end.as_str()) {
            shown.leave_out(format!("{name}_bytes"));
            shown.leave_out(format!("next_{name}_offset"));
        }
    }
    shown.record("stdout_tail", stdout);
    shown.record("stderr_tail", stderr);
    Ok(shown)
}

/// What there is of the outputs, and what is recorded of their ends.
struct Outputs {
    fields: Value,
    stdout: ScrubbedText,
    stderr: ScrubbedText,
}

/// What the log has of the command's end: its result, also where that is inside an error.
async fn recorded(execution: &Execution, record: &CallRecord) -> Result<Value, crate::core::call::Outcome> {
    if record.end.is_none() {
        return Ok(Value::Null);
    }
    let result = execution.ports.reader.result_of(&record.call_id, &execution.sight()).await?.unwrap_or_default();
    let inside = result.pointer("/error/details/result").cloned();
    Ok(inside.unwrap_or(result))
}

async fn live(execution: &Execution, record: &CallRecord, vm: &Vm, args: &Args) -> Result<Outputs, ProviderError> {
    let compute = execution.ports.compute.get(vm.provider.as_str());
    let guest = compute.and_then(|compute| run::channel(compute).ok());
    let guest = guest.ok_or(ProviderError::Unsupported("run commands in guests"))?;
    let (machine, call) = (MachineRef(vm.machine.clone()), &record.call_id);
    let status = guest.status(&machine, call).await?;
    let source = |stream: Stream| Source { guest: &*guest, machine: &machine, call, stream };
    let stdout = source(Stream::Stdout).tail(args.stdout_tail_bytes, status.stdout_bytes).await?;
    let stderr = source(Stream::Stderr).tail(args.stderr_tail_bytes, status.stderr_bytes).await?;
    let mut shown = json!({
        "source": "guest",
        "stdout_bytes": status.stdout_bytes,
        "stderr_bytes": status.stderr_bytes,
        "stdout_tail": stdout.text,
        "stderr_tail": stderr.text,
        "next_stdout_offset": stdout.next,
        "next_stderr_offset": stderr.next,
    });
    if let (JobState::Exited { code }, Some(fields)) = (status.state, shown.as_object_mut()) {
        fields.insert("exit_code".into(), json!(code));
        fields.insert("left_running".into(), json!(status.left_running));
    }
    Ok(Outputs { fields: shown, stdout: stdout.record, stderr: stderr.record })
}

fn from_log(kept: &Value) -> Outputs {
    let text = |field: &str| kept[field].as_str().unwrap_or_default();
    // `vm_exec` records its output whole, `command_start` its two ends.
    let tail = |name: &str| match text(&format!("{name}_tail")) {
        "" if kept[name].is_string() => text(name).to_owned(),
        "" => text(&format!("{name}_head")).to_owned(),
        tail => tail.to_owned(),
    };
    let (stdout, stderr) = (tail("stdout"), tail("stderr"));
    // What has not ended has written nothing that is recorded.
    let next = |name: &str| if kept.is_null() { json!(0) } else { kept[format!("{name}_bytes")].clone() };
    let fields = json!({
        "source": if kept["stdout_head"].is_string() || kept["stdout"].is_string() { "log" } else { "none" },
        "stdout_bytes": kept["stdout_bytes"],
        "stderr_bytes": kept["stderr_bytes"],
        "stdout_tail": stdout,
        "stderr_tail": stderr,
        "next_stdout_offset": next("stdout"),
        "next_stderr_offset": next("stderr"),
    });
    // It was scrubbed when it was recorded, with what stood around it then.
    Outputs { fields, stdout: ScrubbedText::of(&stdout), stderr: ScrubbedText::of(&stderr) }
}
