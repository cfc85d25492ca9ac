//! `command_logs`: a command's whole output, a piece at a time by byte offset.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::output::Source;
use super::{run, visibility};
use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::redact::Sensitivity::{Content, Excerpt, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::tool::ProviderAccess;
use crate::providers::compute::{JobState, JobStatus, MachineRef, ProviderError, Stream};
use crate::tools::declare::{Kept, Operation, reading};
use crate::tools::{CallRecord, Execution};

/// Beyond what a guest keeps of any output.
const FURTHEST: u64 = 1 << 40;

pub(super) static LOGS: Operation<Args, Kept<Output>> = reading("command_logs")
    .scope(Scope::VmsExec)
    .title("Read a command's output")
    .about("Reads a command's output from byte offsets; the next offsets lead through all of it, also while it runs.")
    .reaches(ProviderAccess::OfCall("command_id"))
    .run(|execution, args| Box::pin(read(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The VM that the command has to be of.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    #[expect(dead_code, reason = "the pipeline has found the VM")]
    vm_id: Option<String>,
    /// From vm_exec or command_start.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    command_id: String,
    /// Byte of stdout to begin at.
    #[serde(default)]
    #[schemars(extend("x-class" = Public), range(min = 0, max = FURTHEST))]
    stdout_offset: u64,
    /// Byte of stderr to begin at.
    #[serde(default)]
    #[schemars(extend("x-class" = Public), range(min = 0, max = FURTHEST))]
    stderr_offset: u64,
    /// At most so many bytes of each.
    #[serde(default = "piece")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 65_536))]
    max_bytes: u32,
}

fn piece() -> u32 {
    16_384
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The command.
    #[schemars(extend("x-class" = Public))]
    command_id: CallId,
    /// How the command stands.
    #[schemars(extend("x-class" = Public))]
    status: Status,
    /// A piece of the standard output; what is not UTF-8 is replaced.
    #[schemars(extend("x-class" = Excerpt))]
    stdout: String,
    /// A piece of the standard error; what is not UTF-8 is replaced.
    #[schemars(extend("x-class" = Excerpt))]
    stderr: String,
    /// Nothing had to be replaced.
    #[schemars(extend("x-class" = Public))]
    stdout_utf8: bool,
    /// Nothing had to be replaced.
    #[schemars(extend("x-class" = Public))]
    stderr_utf8: bool,
    /// Size of the standard output so far.
    #[schemars(extend("x-class" = Public))]
    stdout_bytes: Option<u64>,
    /// Size of the standard error so far.
    #[schemars(extend("x-class" = Public))]
    stderr_bytes: Option<u64>,
    /// stdout_offset of the next piece.
    #[schemars(extend("x-class" = Public))]
    next_stdout_offset: Option<u64>,
    /// stderr_offset of the next piece.
    #[schemars(extend("x-class" = Public))]
    next_stderr_offset: Option<u64>,
    /// The command has ended and there is nothing after this.
    #[schemars(extend("x-class" = Public))]
    complete: bool,
}

async fn read(execution: Execution, args: Args) -> Result<Kept<Output>, Outcome> {
    let (record, vm) = visibility::find(&execution, &args.command_id).await?;
    let compute = execution.provider(&vm.provider)?;
    let absent = || Refusal::new(Code::UpstreamUnreachable, "The VM's provider is not configured on this node.");
    let guest = run::channel(compute.ok_or_else(absent)?)?;
    let machine = MachineRef(vm.machine);
    let status = match guest.status(&machine, &record.call_id).await {
        Ok(status) => status,
        Err(ProviderError::NotFound(_)) => not_there(&record)?,
        Err(error) => return Err(error.into()),
    };
    let source = |stream: Stream| Source { guest: &*guest, machine: &machine, call: &record.call_id, stream };
    let begun = status.state != JobState::Gone || record.status.is_terminal();
    let most = if begun { args.max_bytes } else { 0 };
    let stdout = source(Stream::Stdout).piece(args.stdout_offset, most, status.stdout_bytes).await?;
    let stderr = source(Stream::Stderr).piece(args.stderr_offset, most, status.stderr_bytes).await?;
    let at_end = stdout.next >= status.stdout_bytes && stderr.next >= status.stderr_bytes;
    let mut shown = Kept::from(Output {
        command_id: record.call_id.clone(),
        status: record.status,
        stdout: stdout.text.clone(),
        stderr: stderr.text.clone(),
        stdout_utf8: stdout.utf8,
        stderr_utf8: stderr.utf8,
        stdout_bytes: Some(status.stdout_bytes),
        stderr_bytes: Some(status.stderr_bytes),
        next_stdout_offset: Some(stdout.next),
        next_stderr_offset: Some(stderr.next),
        complete: begun && status.state != JobState::Running && at_end,
    });
    let pieces = [
        ("stdout", stdout, args.stdout_offset, status.stdout_bytes),
        ("stderr", stderr, args.stderr_offset, status.stderr_bytes),
    ];
    for (name, piece, offset, size) in pieces {
        // Where the next piece begins says how long this one is.
        if !piece.is_plain() {
            shown.leave_out(format!("next_{name}_offset"));
        }
        if !piece.is_plain() || offset > 0 || piece.next < size {
            shown.leave_out(format!("{name}_bytes"));
        }
        shown.record(name, piece.record);
    }
    Ok(shown)
}

/// A command that waits has written nothing yet; of one that has ended the guest keeps nothing any more.
fn not_there(record: &CallRecord) -> Result<JobStatus, Outcome> {
    if matches!(record.status, Status::Queued | Status::Running | Status::Recorded | Status::Held) {
        return Ok(JobStatus { state: JobState::Gone, stdout_bytes: 0, stderr_bytes: 0, left_running: 0 });
    }
    let refusal = Refusal::new(Code::NotFound, "The guest has no output of this command.");
    Err(refusal.hint("command_get shows what was recorded of it.").into())
}
