//! `command_cancel`: ends a command, wherever it is. Stopping is never switched off, and does not wait for the views.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{run, visibility};
use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::log::cancel::Wish;
use crate::log::reading::ReadError;
use crate::providers::Permit;
use crate::providers::compute::{GuestJobs, JobState, JobStatus, MachineRef, ProviderError};
use crate::tools::Execution;
use crate::tools::declare::{Operation, write};

/// How long a command that was claimed is waited for to appear in the guest, and its end in the log.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often is looked.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(super) static CANCEL: Operation<Args, Output> = write("command_cancel")
    .scope(Scope::VmsExec)
    .executes()
    .stops()
    .title("Cancel a command")
    .about("Ends a command that waits or runs, and all processes that it started. Does nothing if it has ended.")
    .run(|execution, args| Box::pin(cancel(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The VM that the command has to be of.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    #[expect(dead_code, reason = "the pipeline has found the VM")]
    vm_id: Option<String>,
    /// From vm_exec or command_start.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    command_id: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The command.
    #[schemars(extend("x-class" = Public))]
    command_id: CallId,
    /// How the command stands now.
    #[schemars(extend("x-class" = Public))]
    status: Status,
    /// It was this call that ended it; false if it had ended already.
    #[schemars(extend("x-class" = Public))]
    changed: bool,
}

async fn cancel(execution: Execution, Args { command_id, .. }: Args) -> Result<Output, Outcome> {
    let call: CallId = command_id.parse().map_err(|_| visibility::not_found())?;
    // What is stopped is what the log has: a row that somebody broke is in nobody's way.
    let Some(chain) = execution.ports.reader.chain(&call).await? else { return Err(visibility::not_found()) };
    let asked = &chain.asked;
    if !execution.visibility().call(&asked.account, asked.credential.as_str()) {
        return Err(visibility::not_found());
    }
    let vm = visibility::vm_of(&execution, &asked.tool, &asked.resources)?;
    if chain.status.is_terminal() {
        return Ok(answer(&call, chain.status, false));
    }
    if chain.status == Status::Queued && cancel_queued(&execution, &call).await? {
        return Ok(answer(&call, Status::Cancelled, true));
    }
    let absent = || Refusal::new(Code::UpstreamUnreachable, "The VM's provider is not configured on this node.");
    let compute = execution.provider(&vm.provider)?.ok_or_else(absent)?;
    let (guest, machine) = (run::channel(compute)?, MachineRef(vm.machine));
    let ended = cancel_running(&execution, &*guest, &machine, &call).await?;
    let cancelled = ended.is_some_and(|ended| ended.state == JobState::Cancelled);
    let status = await_end(&execution, &call).await?;
    Ok(answer(&call, status.unwrap_or(Status::Running), cancelled))
}

fn answer(call: &CallId, status: Status, changed: bool) -> Output {
    Output { command_id: call.clone(), status, changed }
}

async fn is_open(execution: &Execution, call: &CallId) -> Result<bool, ReadError> {
    Ok(execution.ports.reader.chain(call).await?.is_some_and(|chain| !chain.status.is_terminal()))
}

/// Ends a command that no worker has taken; false if one has, or it has ended.
async fn cancel_queued(execution: &Execution, call: &CallId) -> Result<bool, Outcome> {
    let ports = &execution.ports;
    let known = ports.reader.job(call).await?;
    let wish = Wish { call: call.clone(), known, node: ports.node.clone(), facts: ports.facts };
    ports.writer.end_queued(execution.author(), execution.ids(), wish).await?.map_err(Outcome::Failed)
}

/// Ends a command in the guest. One that was just claimed may not have been started there yet; none if it ended before.
async fn cancel_running(
    execution: &Execution,
    guest: &dyn GuestJobs,
    machine: &MachineRef,
    call: &CallId,
) -> Result<Option<JobStatus>, Outcome> {
    let until = execution.ports.clock.elapsed() + TIMEOUT;
    loop {
        match guest.cancel(machine, call, Permit::unfenced()).await {
            Ok(status) => return Ok(Some(status)),
            Err(ProviderError::NotFound(what)) => {
                if !is_open(execution, call).await? {
                    return Ok(None);
                }
                if execution.ports.clock.elapsed() >= until {
                    return Err(ProviderError::NotFound(what).into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The command's recorded end; none if its worker has not written it in time.
async fn await_end(execution: &Execution, call: &CallId) -> Result<Option<Status>, Outcome> {
    let until = execution.ports.clock.elapsed() + TIMEOUT;
    while is_open(execution, call).await? {
        if execution.ports.clock.elapsed() >= until {
            return Ok(None);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(execution.ports.reader.chain(call).await?.map(|chain| chain.status))
}
