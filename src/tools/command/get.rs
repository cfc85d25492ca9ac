//! `command_get`: how a command stands and the end of its output; from the guest if it answers, else from the log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::output::{Piece, Source};
use super::{run, visibility};
use crate::core::call::{Outcome, Status};
use crate::core::id::{CallId, VmId};
use crate::core::redact::Sensitivity::{Content, Excerpt, Public};
use crate::core::scope::Scope;
use crate::core::scrub::ScrubbedText;
use crate::core::state::Vm;
use crate::core::tool::ProviderAccess;
use crate::providers::compute::{JobState, MachineRef, ProviderError, Stream};
use crate::tools::declare::{Kept, Operation, reading};
use crate::tools::instant::Instant;
use crate::tools::{CallRecord, Execution};

pub(super) static GET: Operation<Args, Kept<Output>> = reading("command_get")
    .scope(Scope::VmsExec)
    .title("Get a command")
    .about("Shows how a command stands, its exit code, and the end of its output.")
    .reaches(ProviderAccess::OfCall("command_id"))
    .run(|execution, args| Box::pin(get(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The VM that the command has to be of.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    #[expect(dead_code, reason = "the pipeline has found the VM")]
    vm_id: Option<String>,
    /// From vm_exec or command_start.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    command_id: String,
    /// Bytes of the end of stdout.
    #[serde(default = "tail")]
    #[schemars(extend("x-class" = Public), range(min = 0, max = 65_536))]
    stdout_tail_bytes: u32,
    /// Bytes of the end of stderr.
    #[serde(default = "tail")]
    #[schemars(extend("x-class" = Public), range(min = 0, max = 65_536))]
    stderr_tail_bytes: u32,
}

fn tail() -> u32 {
    8192
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The command.
    #[schemars(extend("x-class" = Public))]
    command_id: CallId,
    /// The VM it is for.
    #[schemars(extend("x-class" = Public))]
    vm_id: VmId,
    /// queued, running, succeeded, failed, refused, cancelled, timed_out or unknown.
    #[schemars(extend("x-class" = Public))]
    status: Status,
    /// Why it did not succeed.
    #[schemars(extend("x-class" = Public))]
    code: Option<String>,
    /// Exit code of the shell, once it has ended by itself.
    #[schemars(extend("x-class" = Public))]
    exit_code: Option<i64>,
    /// Processes that it left running, once it has ended by itself.
    #[schemars(extend("x-class" = Public))]
    left_running: Option<u64>,
    /// When it was asked for.
    #[schemars(extend("x-class" = Public))]
    at: Instant,
    /// When it ended.
    #[schemars(extend("x-class" = Public))]
    ended_at: Option<Instant>,
    /// How long it took.
    #[schemars(extend("x-class" = Public))]
    duration_ms: Option<u64>,
    /// Where the output is from: guest, log (what was recorded of it) or none.
    #[schemars(extend("x-class" = Public))]
    source: Place,
    /// Size of the standard output so far.
    #[schemars(extend("x-class" = Public))]
    stdout_bytes: Option<u64>,
    /// Size of the standard error so far.
    #[schemars(extend("x-class" = Public))]
    stderr_bytes: Option<u64>,
    /// The end of the standard output.
    #[schemars(extend("x-class" = Excerpt))]
    stdout_tail: String,
    /// The end of the standard error.
    #[schemars(extend("x-class" = Excerpt))]
    stderr_tail: String,
    /// Where command_logs goes on.
    #[schemars(extend("x-class" = Public))]
    next_stdout_offset: Option<u64>,
    /// Where command_logs goes on.
    #[schemars(extend("x-class" = Public))]
    next_stderr_offset: Option<u64>,
}

/// Where the output is from.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Place {
    Guest,
    Log,
    None,
}

async fn get(execution: Execution, args: Args) -> Result<Kept<Output>, Outcome> {
    let (record, vm) = visibility::find(&execution, &args.command_id).await?;
    let kept = recorded(&execution, &record).await?;
    let seen = live(&execution, &record, &vm, &args).await.unwrap_or_else(|error| {
        tracing::debug!(%error, call_id = %record.call_id, "a guest does not show a command");
        from_log(&kept)
    });
    let Seen { source, ended, stdout, stderr } = seen;
    let (code, left_running) = ended.unwrap_or((kept["exit_code"].as_i64(), kept["left_running"].as_u64()));
    let mut shown = Kept::from(Output {
        command_id: record.call_id,
        vm_id: vm.id,
        status: record.status,
        code: record.code,
        exit_code: code,
        left_running,
        at: record.at.into(),
        ended_at: record.ended_at.map(Instant),
        duration_ms: kept["duration_ms"].as_u64(),
        source,
        stdout_bytes: stdout.bytes,
        stderr_bytes: stderr.bytes,
        stdout_tail: stdout.tail.clone(),
        stderr_tail: stderr.tail.clone(),
        next_stdout_offset: stdout.next,
        next_stderr_offset: stderr.next,
    });
    for (name, end) in [("stdout", stdout), ("stderr", stderr)] {
        // All of it has to be there, as it is, for its size to be recorded.
        let is_whole = end.bytes == Some(end.record.as_str().len() as u64);
        if !is_whole || end.tail != end.record.as_str() {
            shown.leave_out(format!("{name}_bytes"));
            shown.leave_out(format!("next_{name}_offset"));
        }
        shown.record(format!("{name}_tail"), end.record);
    }
    Ok(shown)
}

/// What there is of a command that its record does not say.
struct Seen {
    source: Place,
    /// Exit code and what is left running, if the guest says so.
    ended: Option<(Option<i64>, Option<u64>)>,
    stdout: End,
    stderr: End,
}

/// The end of an output, and what is recorded of it.
struct End {
    bytes: Option<u64>,
    tail: String,
    record: ScrubbedText,
    next: Option<u64>,
}

impl End {
    fn of(piece: Piece, size: u64) -> Self {
        Self { bytes: Some(size), tail: piece.text, record: piece.record, next: Some(piece.next) }
    }
}

/// What the log has of the command's end: its result, also where that is inside an error.
async fn recorded(execution: &Execution, record: &CallRecord) -> Result<Value, Outcome> {
    if record.end.is_none() {
        return Ok(Value::Null);
    }
    let result = execution.ports.reader.result_of(&record.call_id, &execution.visibility()).await?.unwrap_or_default();
    let inside = result.pointer("/error/details/result").cloned();
    Ok(inside.unwrap_or(result))
}

async fn live(execution: &Execution, record: &CallRecord, vm: &Vm, args: &Args) -> Result<Seen, ProviderError> {
    // Stopped meanwhile: what the log has is still shown.
    let compute = execution.provider(&vm.provider).ok().flatten();
    let guest = compute.and_then(|compute| run::channel(compute).ok());
    let guest = guest.ok_or(ProviderError::Unsupported("run commands in guests"))?;
    let (machine, call) = (MachineRef(vm.machine.clone()), &record.call_id);
    let status = guest.status(&machine, call).await?;
    let source = |stream: Stream| Source { guest: &*guest, machine: &machine, call, stream };
    let stdout = source(Stream::Stdout).tail(args.stdout_tail_bytes, status.stdout_bytes).await?;
    let stderr = source(Stream::Stderr).tail(args.stderr_tail_bytes, status.stderr_bytes).await?;
    let ended = match status.state {
        JobState::Exited { code } => Some((Some(i64::from(code)), Some(u64::from(status.left_running)))),
        _ => None,
    };
    let (stdout, stderr) = (End::of(stdout, status.stdout_bytes), End::of(stderr, status.stderr_bytes));
    Ok(Seen { source: Place::Guest, ended, stdout, stderr })
}

fn from_log(kept: &Value) -> Seen {
    let is_there = kept["stdout_head"].is_string() || kept["stdout"].is_string();
    let source = if is_there { Place::Log } else { Place::None };
    Seen { source, ended: None, stdout: recorded_end(kept, "stdout"), stderr: recorded_end(kept, "stderr") }
}

fn recorded_end(kept: &Value, name: &str) -> End {
    let text = |field: &str| kept[field].as_str().unwrap_or_default();
    // `vm_exec` records its output whole, `command_start` its two ends.
    let tail = match text(&format!("{name}_tail")) {
        "" if kept[name].is_string() => text(name),
        "" => text(&format!("{name}_head")),
        tail => tail,
    };
    let bytes = kept[format!("{name}_bytes")].as_u64();
    // What has not ended has written nothing that is recorded.
    let next = if kept.is_null() { Some(0) } else { bytes };
    // It was scrubbed when it was recorded, with what stood around it then.
    End { bytes, tail: tail.to_owned(), record: ScrubbedText::of(tail), next }
}
