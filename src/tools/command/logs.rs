//! `command_logs`: a command's whole output, a piece at a time by byte offset.

use serde::Deserialize;
use serde_json::json;

use super::output::Source;
use super::{run, sight};
use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::redact::Sensitivity::{Content, Excerpt, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::shown::Shown;
use crate::core::tool::ToolFacts;
use crate::providers::compute::{JobState, JobStatus, MachineRef, ProviderError, Stream};
use crate::tools::outcome::ShownAnswer;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, maybe, number_or, text};
use crate::tools::{CallRecord, Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::read("command_logs", Some(Scope::VmsExec));

/// Beyond what a guest keeps of any output.
const FURTHEST: u64 = 1 << 40;

pub(super) fn tool() -> Tool {
    let input = Shape::new()
        .may("vm_id", Content, text("The VM, if the answer is to be about that one only.", 64))
        .must("command_id", Content, text("The command.", 64))
        .may("stdout_offset", Public, number_or("Byte of the standard output to begin at.", 0, FURTHEST, 0))
        .may("stderr_offset", Public, number_or("Byte of the standard error to begin at.", 0, FURTHEST, 0))
        .may("max_bytes", Public, number_or("At most so many bytes of each.", 1, 65_536, 16_384));
    let output = Shape::new()
        .must("command_id", Public, any("string", "The command."))
        .must("status", Public, any("string", "How the command stands."))
        .must("stdout", Excerpt, any("string", "A piece of the standard output; what is not UTF-8 is replaced."))
        .must("stderr", Excerpt, any("string", "A piece of the standard error; what is not UTF-8 is replaced."))
        .must("stdout_utf8", Public, any("boolean", "Nothing had to be replaced."))
        .must("stderr_utf8", Public, any("boolean", "Nothing had to be replaced."))
        .must("stdout_bytes", Public, maybe("integer", "Size of the standard output so far."))
        .must("stderr_bytes", Public, maybe("integer", "Size of the standard error so far."))
        .must("next_stdout_offset", Public, maybe("integer", "stdout_offset of the next piece."))
        .must("next_stderr_offset", Public, maybe("integer", "stderr_offset of the next piece."))
        .must("complete", Public, any("boolean", "The command has ended and there is nothing after this."));
    let face = Face {
        title: "Read a command's output",
        description: "Reads a command's output from byte offsets; the next offsets lead through all of it, also while it runs.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(read))
}

#[derive(Deserialize)]
struct Args {
    command_id: String,
    #[serde(default)]
    stdout_offset: u64,
    #[serde(default)]
    stderr_offset: u64,
    #[serde(default = "piece")]
    max_bytes: u32,
}

fn piece() -> u32 {
    16_384
}

async fn read(execution: Execution) -> ShownAnswer {
    let args: Args = execution.arguments()?;
    let (record, vm) = sight::find(&execution, &args.command_id).await?;
    let compute = execution.ports.compute.get(vm.provider.as_str());
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
    let mut shown = Shown::from(json!({
        "command_id": record.call_id,
        "status": record.status,
        "stdout": stdout.text,
        "stderr": stderr.text,
        "stdout_utf8": stdout.utf8,
        "stderr_utf8": stderr.utf8,
        "stdout_bytes": status.stdout_bytes,
        "stderr_bytes": status.stderr_bytes,
        "next_stdout_offset": stdout.next,
        "next_stderr_offset": stderr.next,
        "complete": begun && status.state != JobState::Running && at_end,
    }));
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
