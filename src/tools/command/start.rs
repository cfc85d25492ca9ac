//! `command_start`: queues a command. Any worker runs it to its end and records what became of it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{output, run};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::scrub::holds_token;
use crate::providers::compute::{JobSpec, Stream};
use crate::tools::Execution;
use crate::tools::declare::{Document, Operation, write};

/// Two hours for the command, and what it takes to see its end and read its output.
const LIMIT: Duration = Duration::from_mins(125);

pub(super) static START: Operation<Args, Output> = write("command_start")
    .scope(Scope::VmsExec)
    .runs_a_command()
    .queued()
    .title("Start a command")
    .about(
        "Starts a shell command as root in a VM and answers at once with its command_id. Refused while command execution is off \
         there, or another command runs, and for text with access tokens in it.",
    )
    .on_a_vm()
    .time_limit(LIMIT)
    .run(|execution, args| Box::pin(start(execution, args)))
    .refuse(tokens);

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Text for the guest's shell.
    // What is recorded of a call has to hold all of it, for a worker reads it from there.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 8192))]
    command: String,
    /// Seconds until the guest ends it.
    #[serde(default = "half_an_hour")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 7200))]
    timeout_seconds: u64,
    /// A name for people.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 100))]
    #[expect(dead_code, reason = "it is recorded, for people")]
    label: Option<String>,
    /// Absolute directory to run it in.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 1024), regex(pattern = "^/[^\\u0000]*$"))]
    working_directory: Option<String>,
}

fn half_an_hour() -> u64 {
    1800
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The command.
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
    /// Size of the standard output. Null if there was a secret in it.
    #[schemars(extend("x-class" = Public))]
    stdout_bytes: Option<u64>,
    /// Size of the standard error. Null if there was a secret in it.
    #[schemars(extend("x-class" = Public))]
    stderr_bytes: Option<u64>,
    /// There was more than the guest keeps.
    #[schemars(extend("x-class" = Public))]
    stdout_truncated: bool,
    /// There was more than the guest keeps.
    #[schemars(extend("x-class" = Public))]
    stderr_truncated: bool,
    /// SHA-256 of the standard output.
    #[schemars(extend("x-class" = Public))]
    stdout_sha256: Option<String>,
    /// SHA-256 of the standard error.
    #[schemars(extend("x-class" = Public))]
    stderr_sha256: Option<String>,
    /// Its first 4 KiB.
    #[schemars(extend("x-class" = Content))]
    stdout_head: String,
    /// Its last 4 KiB, without what the head has.
    #[schemars(extend("x-class" = Content))]
    stdout_tail: String,
    /// Its first 4 KiB.
    #[schemars(extend("x-class" = Content))]
    stderr_head: String,
    /// Its last 4 KiB, without what the head has.
    #[schemars(extend("x-class" = Content))]
    stderr_tail: String,
}

/// The command waits for a worker, and is recorded meanwhile. A secret that is known by its place alone is sealed until then.
fn tokens(args: &Args) -> Option<Refusal> {
    if !holds_token(&args.command) && !args.working_directory.as_deref().is_some_and(holds_token) {
        return None;
    }
    let text = "The command has an access token or a private key in it, which would be recorded.";
    Some(Refusal::new(Code::ValidationFailed, text).hint("Let the command read it from a file in the guest."))
}

async fn start(execution: Execution, args: Args) -> Result<Output, Outcome> {
    let Args { command, timeout_seconds, working_directory, .. } = args;
    let job = JobSpec { command, working_directory, time_limit: Duration::from_secs(timeout_seconds) };
    let ran = run::run(&execution, &job).await?;
    let stdout = output::record(&ran, execution.call(), Stream::Stdout, ran.status.stdout_bytes).await;
    let stderr = output::record(&ran, execution.call(), Stream::Stderr, ran.status.stderr_bytes).await;
    let result = Output {
        command_id: execution.call().clone(),
        exit_code: ran.exit_code,
        left_running: ran.status.left_running,
        timed_out: ran.exit_code.is_none(),
        duration_ms: u64::try_from(ran.duration.as_millis()).unwrap_or(u64::MAX),
        stdout_bytes: stdout.bytes,
        stderr_bytes: stderr.bytes,
        stdout_truncated: stdout.truncated,
        stderr_truncated: stderr.truncated,
        stdout_sha256: stdout.sha256,
        stderr_sha256: stderr.sha256,
        stdout_head: stdout.head,
        stdout_tail: stdout.tail,
        stderr_head: stderr.head,
        stderr_tail: stderr.tail,
    };
    if ran.exit_code.is_some() { Ok(result) } else { Err(Outcome::TimedOut(result.into_result())) }
}
