//! Commands in a guest, above its agent. All that a job is lies in the guest, in `/var/lib/forelog/jobs/<call>`, so that
//! it outlives the agent's connection, the agent and us; four short shell programs tend it.
//!
//! INVARIANT: one job at most is ever started for a call, because its directory is made with `mkdir`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{sleep, timeout};

use super::machines::Machines;
use super::wire::Fault;
use crate::core::id::CallId;
use crate::providers::Permit;
use crate::providers::compute::{GuestJobs, JobSpec, JobState, JobStatus, MachineRef, ProviderError, Stream};

const LAUNCH: &str = include_str!("guest/launch.sh");
const SUPERVISE: &str = include_str!("guest/supervise.sh");
const END: &str = include_str!("guest/end.sh");
const STATUS: &str = include_str!("guest/status.sh");
/// Where jobs lie in the guest; the programs name it too.
const JOBS: &str = "/var/lib/forelog/jobs";
/// The launcher's word for "this call was started before".
const KNOWN: i64 = 17;
/// What the supervisor spools at most; the guest is not believed more.
const SPOOL: u64 = 64 << 20;
const MAX_DURATION: Duration = Duration::from_hours(2);

pub(super) struct Jobs {
    pub(super) machines: Arc<Machines>,
}

#[async_trait]
impl GuestJobs for Jobs {
    async fn start(&self, machine: &MachineRef, call: &CallId, job: &JobSpec, permit: Permit) -> Result<(), ProviderError> {
        if job.time_limit < Duration::from_secs(1) || job.time_limit > MAX_DURATION {
            return Err(ProviderError::Refused("a time limit is one second to two hours".into()));
        }
        let directory = job.working_directory.as_deref().unwrap_or_default();
        if !directory.is_empty() && !directory.starts_with('/') {
            return Err(ProviderError::Refused("a working directory is absolute".into()));
        }
        let agent = self.machines.agent(machine)?;
        let (start, seconds) = (format!("start-{call}"), job.time_limit.as_secs().to_string());
        let arguments = ["-c", LAUNCH, &start, call.as_str(), &seconds, directory, SUPERVISE, END];
        let launched = agent.run(&arguments, job.command.as_bytes(), Some(permit)).await.map_err(Fault::of_guest)?;
        match launched.code {
            0 => Ok(()),
            KNOWN => Err(ProviderError::State(format!("{call} was started before").into())),
            // It may have come as far as starting: only its status can tell.
            code => Err(ProviderError::AnswerLost(format!("the launcher ended with {code}: {}", launched.stderr.trim()).into())),
        }
    }

    async fn status(&self, machine: &MachineRef, call: &CallId) -> Result<JobStatus, ProviderError> {
        let agent = self.machines.agent(machine)?;
        let asked = agent.run(&["-c", STATUS, "status", call.as_str()], &[], None).await;
        let told = asked.map_err(|fault| fault.of_question().of_guest())?;
        if told.stdout.starts_with("absent") {
            return Err(ProviderError::NotFound(format!("job {call}").into()));
        }
        let strange = || ProviderError::GuestUnavailable(format!("a strange status: {:?} {:?}", told.stdout, told.stderr).into());
        read_status(&told.stdout).ok_or_else(strange)
    }

    async fn read(
        &self,
        machine: &MachineRef,
        call: &CallId,
        stream: Stream,
        offset: u64,
        max: u32,
    ) -> Result<Vec<u8>, ProviderError> {
        let name = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let agent = self.machines.agent(machine)?;
        agent.read_file(&format!("{JOBS}/{call}/{name}"), offset, max).await.map_err(|fault| match fault.of_question() {
            Fault::Refused(_) => ProviderError::NotFound(format!("{name} of job {call}").into()),
            other => other.of_guest(),
        })
    }

    async fn cancel(&self, machine: &MachineRef, call: &CallId, permit: Permit) -> Result<JobStatus, ProviderError> {
        // One that was never started is not found here; the call's own id is safe in a path.
        self.status(machine, call).await?;
        let agent = self.machines.agent(machine)?;
        let end = format!("{JOBS}/{call}/end");
        let ended =
            agent.run(&["-c", "exec sh \"$1\" cancelled", "end", &end], &[], Some(permit)).await.map_err(Fault::of_guest)?;
        let status = self.status(machine, call).await?;
        if status.state == JobState::Running {
            let why = format!("the job is still there (the guest said {}: {})", ended.code, ended.stderr.trim());
            return Err(ProviderError::AnswerLost(why.into()));
        }
        Ok(status)
    }

    async fn wait(&self, machine: &MachineRef, call: &CallId, at_most: Duration) -> Result<JobStatus, ProviderError> {
        let ended = timeout(at_most, async {
            let mut pause = Duration::from_millis(50);
            loop {
                match self.status(machine, call).await {
                    Ok(status) if status.state != JobState::Running => return Ok(status),
                    // A question that a busy guest did not answer is asked again.
                    Ok(_) | Err(ProviderError::GuestUnavailable(_) | ProviderError::AnswerLost(_)) => {}
                    Err(error) => return Err(error),
                }
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        });
        match ended.await {
            Ok(status) => status,
            Err(_) => self.status(machine, call).await,
        }
    }
}

/// What the status program said of a job that was started.
fn read_status(text: &str) -> Option<JobStatus> {
    let mut words = text.split_whitespace();
    let (state, code) = (words.next()?, words.next()?.parse().ok()?);
    let (stdout_bytes, stderr_bytes) = (words.next()?.parse::<u64>().ok()?, words.next()?.parse::<u64>().ok()?);
    let state = match state {
        "running" => JobState::Running,
        "exited" => JobState::Exited { code },
        "timed_out" => JobState::TimedOut,
        "cancelled" => JobState::Cancelled,
        "gone" => JobState::Gone,
        _ => return None,
    };
    let left_running = words.next().map_or(Some(0), |word| word.parse().ok())?;
    Some(JobStatus { state, stdout_bytes: stdout_bytes.min(SPOOL), stderr_bytes: stderr_bytes.min(SPOOL), left_running })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_as_it_is_told() {
        let exited = JobStatus { state: JobState::Exited { code: 3 }, stdout_bytes: 5, stderr_bytes: 0, left_running: 2 };
        assert_eq!(read_status("exited 3 5 0 2\n"), Some(exited));
        let boasted = JobStatus { state: JobState::Gone, stdout_bytes: SPOOL, stderr_bytes: 1, left_running: 0 };
        assert_eq!(read_status("gone 0 99999999999 1"), Some(boasted));
        assert_eq!(read_status("exited x 5 0\n"), None);
        assert_eq!(read_status("exited 3 5 0 many\n"), None);
        assert_eq!(read_status(""), None);
    }
}
