//! Running one command in a guest: start it, wait for its end, end it if its caller or a switch says so.
//!
//! INVARIANT: a start whose answer was lost is looked up and never repeated; what cannot be looked up ends `unknown` (P4).

use std::sync::Arc;
use std::time::Duration;

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::providers::Permit;
use crate::providers::compute::{Compute, GuestJobs, JobSpec, JobState, JobStatus, MachineRef, ProviderError};
use crate::tools::Execution;

/// How much longer than the command may take its end is waited for: the guest itself ends it.
const SLACK: Duration = Duration::from_secs(15);

/// How long one question for its end may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before a guest that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// A command that has ended in order: with an exit code, or because its time was over.
pub(in crate::tools) struct Ran {
    /// Where to read its output.
    pub(in crate::tools) guest: Arc<dyn GuestJobs>,
    /// The machine it ran on.
    pub(in crate::tools) machine: MachineRef,
    /// Exit code; none if its time was over.
    pub(in crate::tools) exit_code: Option<i32>,
    /// How it stood at its end.
    pub(in crate::tools) status: JobStatus,
    /// How long it took.
    pub(in crate::tools) duration: Duration,
}

/// The guest channel of a provider.
pub(in crate::tools) fn channel(compute: &Arc<dyn Compute>) -> Result<Arc<dyn GuestJobs>, Outcome> {
    let missing = || Refusal::new(Code::NotImplemented, "The VM's provider cannot run commands in its guests.");
    compute.guest().ok_or_else(|| missing().into())
}

/// Runs `job` under the call's id until it has ended.
pub(in crate::tools) async fn run(execution: &Execution, job: &JobSpec) -> Result<Ran, Outcome> {
    let (guest, machine) = (channel(execution.compute()?)?, execution.machine()?);
    let begun = execution.ports.clock.elapsed();
    let permit = execution.leave()?;
    match guest.start(&machine, execution.call(), job, permit).await {
        Ok(()) => {}
        Err(ProviderError::AnswerLost(why)) => {
            let status = guest.status(&machine, execution.call()).await;
            status.map_err(|_| Outcome::Unknown(format!("the answer to the start was lost: {why}")))?;
        }
        Err(error) => return Err(error.into()),
    }
    execution.report(0.0, None, "the command runs");
    let until = begun + job.time_limit + SLACK;
    let status = follow(execution, &*guest, &machine, until).await?;
    let duration = execution.ports.clock.elapsed().saturating_sub(begun);
    let exit_code = match status.state {
        JobState::Exited { code } => Some(code),
        JobState::TimedOut => None,
        JobState::Cancelled => return Err(Outcome::Cancelled(Code::Cancelled)),
        JobState::Gone => return Err(Outcome::Unknown("the command is gone and left no exit code".into())),
        JobState::Running => return Err(Outcome::Unknown("the command could not be ended".into())),
    };
    Ok(Ran { guest, machine, exit_code, status, duration })
}

/// How the command stands once it has ended, or once nobody waits any longer.
async fn follow(
    execution: &Execution,
    guest: &dyn GuestJobs,
    machine: &MachineRef,
    until: Duration,
) -> Result<JobStatus, Outcome> {
    loop {
        let seen = execution.cancel.run_until_cancelled(guest.wait(machine, execution.call(), QUERY_TIMEOUT)).await;
        let over = execution.ports.clock.elapsed() >= until;
        match seen {
            None => return end(execution, guest, machine).await,
            Some(Ok(status)) if status.state != JobState::Running => return Ok(status),
            Some(Ok(_)) if over => return end(execution, guest, machine).await,
            Some(Ok(_)) => {}
            Some(Err(ProviderError::NotFound(_))) => {
                return Err(Outcome::Unknown("the guest no longer knows the command".into()));
            }
            Some(Err(error)) if over => return Err(Outcome::Unknown(format!("the command's end cannot be seen: {error}"))),
            Some(Err(error)) => {
                tracing::debug!(%error, call_id = %execution.call(), "a command cannot be looked at; trying again");
                // Cancelling is noticed at the head of the loop.
                execution.cancel.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
}

/// Ends the command. Our own clean-up: no switch covers it.
async fn end(execution: &Execution, guest: &dyn GuestJobs, machine: &MachineRef) -> Result<JobStatus, Outcome> {
    let ended = guest.cancel(machine, execution.call(), Permit::unfenced()).await;
    ended.map_err(|error| Outcome::Unknown(format!("the command could not be ended: {error}")))
}
