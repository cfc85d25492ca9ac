//! `vm_exec`: runs a short command and answers with its output.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::core::call::Outcome;
use crate::core::id::CallId;
use crate::core::redact::Sensitivity::{Content, Excerpt, Public};
use crate::core::scope::Scope;
use crate::core::scrub::ScrubbedText;
use crate::providers::compute::{JobSpec, Stream};
use crate::tools::Execution;
use crate::tools::command::output::Source;
use crate::tools::command::run::{self, Ran};
use crate::tools::declare::{Document, Kept, Operation, write};

/// How much of each output is answered.
const MAX_SIZE: u32 = 64 * 1024;

/// A minute for the command, and what it takes to see its end.
const LIMIT: Duration = Duration::from_secs(90);

pub(super) static EXEC: Operation<Args, Kept<Output>> = write("vm_exec")
    .scope(Scope::VmsExec)
    .runs_a_command()
    .title("Run a short command")
    .about(
        "Runs a shell command as root in a VM and answers with its exit code and at most 64 KiB of each output; command_logs \
         reads the rest. Refused while command execution is off there, or another command runs.",
    )
    .on_a_vm()
    .time_limit(LIMIT)
    .run(|execution, args| Box::pin(exec(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Text for the guest's shell.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 32_768))]
    command: String,
    /// Seconds until the guest ends it.
    #[serde(default = "half_a_minute")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 60))]
    timeout_seconds: u64,
}

fn half_a_minute() -> u64 {
    30
}

#[derive(Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the answer")]
pub(super) struct Output {
    /// The command, for command_logs.
    #[schemars(extend("x-class" = Public))]
    command_id: CallId,
    /// Exit code of the shell; null if it was ended.
    #[schemars(extend("x-class" = Public))]
    exit_code: Option<i32>,
    /// Processes that the command left running. They run on; what they write is dropped.
    #[schemars(extend("x-class" = Public))]
    left_running: u32,
    /// It was ended because its time was over.
    #[schemars(extend("x-class" = Public))]
    timed_out: bool,
    /// How long it took.
    #[schemars(extend("x-class" = Public))]
    duration_ms: u64,
    /// Standard output; what is not UTF-8 is replaced.
    #[schemars(extend("x-class" = Excerpt))]
    stdout: String,
    /// Standard error; what is not UTF-8 is replaced.
    #[schemars(extend("x-class" = Excerpt))]
    stderr: String,
    /// There is more.
    #[schemars(extend("x-class" = Public))]
    stdout_truncated: bool,
    /// There is more.
    #[schemars(extend("x-class" = Public))]
    stderr_truncated: bool,
    /// Nothing had to be replaced.
    #[schemars(extend("x-class" = Public))]
    stdout_utf8: bool,
    /// Nothing had to be replaced.
    #[schemars(extend("x-class" = Public))]
    stderr_utf8: bool,
    /// Size of the standard output; null if this was read from the log, which has it of no secret.
    #[schemars(extend("x-class" = Public))]
    stdout_bytes: Option<u64>,
    /// Size of the standard error; null if this was read from the log, which has it of no secret.
    #[schemars(extend("x-class" = Public))]
    stderr_bytes: Option<u64>,
    /// SHA-256, if all of it is in the answer and UTF-8.
    #[schemars(extend("x-class" = Public))]
    stdout_sha256: Option<String>,
    /// SHA-256, if all of it is in the answer and UTF-8.
    #[schemars(extend("x-class" = Public))]
    stderr_sha256: Option<String>,
}

/// What is answered of one output.
struct OutputPart {
    text: String,
    record: ScrubbedText,
    whole: bool,
    utf8: bool,
    size: u64,
    sha256: Option<String>,
}

async fn exec(execution: Execution, Args { command, timeout_seconds }: Args) -> Result<Kept<Output>, Outcome> {
    let job = JobSpec { command, working_directory: None, time_limit: Duration::from_secs(timeout_seconds) };
    let ran = run::run(&execution, &job).await?;
    let stdout = read_output(&ran, execution.call(), Stream::Stdout, ran.status.stdout_bytes).await;
    let stderr = read_output(&ran, execution.call(), Stream::Stderr, ran.status.stderr_bytes).await;
    let mut result = Kept::from(Output {
        command_id: execution.call().clone(),
        exit_code: ran.exit_code,
        left_running: ran.status.left_running,
        timed_out: ran.exit_code.is_none(),
        duration_ms: u64::try_from(ran.duration.as_millis()).unwrap_or(u64::MAX),
        stdout: stdout.text.clone(),
        stderr: stderr.text.clone(),
        stdout_truncated: !stdout.whole,
        stderr_truncated: !stderr.whole,
        stdout_utf8: stdout.utf8,
        stderr_utf8: stderr.utf8,
        stdout_bytes: Some(stdout.size),
        stderr_bytes: Some(stderr.size),
        stdout_sha256: stdout.sha256.clone(),
        stderr_sha256: stderr.sha256.clone(),
    });
    for (name, told) in [("stdout", stdout), ("stderr", stderr)] {
        // Of what was blanked no digest is kept either: whoever has the rest could try what it was. Nor is its size, which
        // says how long that is; of what is not in the answer nobody has looked.
        if told.text != told.record.as_str() || !told.whole {
            result.leave_out(format!("{name}_sha256"));
            result.leave_out(format!("{name}_bytes"));
        }
        result.record(name, told.record);
    }
    if ran.exit_code.is_some() { Ok(result) } else { Err(Outcome::TimedOut(result.into_result())) }
}

/// The command ran, whether its output can be read now or not: what cannot is marked as more to come.
async fn read_output(ran: &Ran, call: &CallId, stream: Stream, size: u64) -> OutputPart {
    let source = Source { guest: &*ran.guest, machine: &ran.machine, call, stream };
    let piece = source.piece(0, MAX_SIZE, size).await.inspect_err(|error| {
        tracing::warn!(%error, call_id = %call, "an output cannot be read");
    });
    let (text, record, utf8, end) = piece.map_or_else(
        |_| (String::new(), ScrubbedText::default(), true, 0),
        |piece| (piece.text, piece.record, piece.utf8, piece.next),
    );
    let whole = end >= size;
    let sha256 = (whole && utf8).then(|| hex::encode(Sha256::digest(&text)));
    OutputPart { text, record, whole, utf8, size, sha256 }
}
