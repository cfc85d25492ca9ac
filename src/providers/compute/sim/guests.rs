//! Jobs in simulated guests.
//!
//! Invariant: a job ends once, by itself, by its time limit, by [`GuestJobs::cancel`] or with its machine.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;

use super::faults::Action;
use super::shared::Shared;
use super::shell::{self, Guest, Spool};
use super::world::{Simulated, World};
use crate::core::id::CallId;
use crate::providers::Permit;
use crate::providers::compute::{GuestJobs, JobSpec, JobState, JobStatus, MachineRef, ProviderError, Stream};

/// How often a job of another process is looked at until it has ended, and how many times.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const MAX_POLLS: u32 = 200;

/// The guest channel of the simulation.
pub(super) struct Guests(pub Arc<Shared>);

#[async_trait]
impl GuestJobs for Guests {
    async fn start(&self, machine: &MachineRef, call: &CallId, job: &JobSpec, permit: Permit) -> Result<(), ProviderError> {
        let fate = self.0.faults.befall(Some(machine), Action::Start);
        fate.before().await?;
        let shared = &self.0;
        let begin = || {
            shared.world().begin_job(machine, call, |world, row| {
                let guest = seen_from_inside(world, row, job);
                tokio::spawn(run(Arc::downgrade(shared), call.clone(), job.clone(), guest)).abort_handle()
            })
        };
        let started = begin();
        if fate.twice && started.is_ok() {
            // It is known by its call, so this changes nothing; the first one is answered.
            let _ = begin();
        }
        drop(permit);
        fate.after(started).await
    }

    async fn status(&self, machine: &MachineRef, call: &CallId) -> Result<JobStatus, ProviderError> {
        self.watch(machine, |world| world.job(machine, call)).await
    }

    async fn read(
        &self,
        machine: &MachineRef,
        call: &CallId,
        stream: Stream,
        offset: u64,
        max: u32,
    ) -> Result<Vec<u8>, ProviderError> {
        self.watch(machine, |world| {
            world.job(machine, call)?;
            world.output(call, stream, offset, max)
        })
        .await
    }

    async fn cancel(&self, machine: &MachineRef, call: &CallId, permit: Permit) -> Result<JobStatus, ProviderError> {
        let fate = self.0.faults.befall(Some(machine), Action::Cancel);
        fate.before().await?;
        let mut ended = self.0.end(machine, call);
        drop(permit);
        // One that runs in another process ends as soon as that one has read that it should.
        for _ in 0..MAX_POLLS {
            if !ended.as_ref().is_ok_and(|status| status.state == JobState::Running) {
                break;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
            ended = self.0.world().job(machine, call);
        }
        fate.after(ended).await
    }

    async fn wait(&self, machine: &MachineRef, call: &CallId, at_most: Duration) -> Result<JobStatus, ProviderError> {
        let ending = self
            .watch(machine, |world| {
                world.job(machine, call)?;
                Ok(world.ending(call))
            })
            .await?;
        if let Some(mut ending) = ending {
            // Both the end of the job and the end of patience lead to the same question.
            let _ = tokio::time::timeout(at_most, self.follow_until(ending.changed())).await;
        }
        self.0.world().job(machine, call)
    }
}

impl Guests {
    /// Learns what other processes did until `ended`; they may want a job of this one to end.
    async fn follow_until<T>(&self, ended: impl Future<Output = T> + Send) {
        tokio::pin!(ended);
        while tokio::time::timeout(POLL_INTERVAL, &mut ended).await.is_err() {
            drop(self.0.world());
        }
    }

    async fn watch<T>(
        &self,
        machine: &MachineRef,
        look: impl FnOnce(&World) -> Result<T, ProviderError> + Send,
    ) -> Result<T, ProviderError> {
        let fate = self.0.faults.befall(Some(machine), Action::Watch);
        fate.before().await?;
        let seen = look(&self.0.world());
        fate.after(seen).await
    }
}

impl Shared {
    fn end(&self, machine: &MachineRef, call: &CallId) -> Result<JobStatus, ProviderError> {
        let mut world = self.world();
        world.job(machine, call)?;
        world.end_job(call, JobState::Cancelled)?;
        world.ask_to_end(call)?;
        world.job(machine, call)
    }
}

fn seen_from_inside(world: &World, row: &Simulated, job: &JobSpec) -> Guest {
    Guest {
        hostname: row.machine.hostname.clone(),
        os: row.machine.os.clone(),
        uptime_seconds: world.uptime_seconds(row),
        directory: job.working_directory.clone().unwrap_or_else(|| "/root".into()),
    }
}

/// A job's output, on its way to the world.
struct Output {
    shared: Weak<Shared>,
    call: CallId,
}

impl Spool for Output {
    fn write(&self, stream: Stream, bytes: &[u8]) -> bool {
        self.shared.upgrade().is_some_and(|shared| shared.world().add_output(&self.call, stream, bytes))
    }
}

async fn run(shared: Weak<Shared>, call: CallId, job: JobSpec, guest: Guest) {
    let output = Output { shared: shared.clone(), call: call.clone() };
    let state = match tokio::time::timeout(job.time_limit, shell::run(&job.command, &guest, &output)).await {
        Ok(code) => JobState::Exited { code },
        Err(_) => JobState::TimedOut,
    };
    let Some(shared) = shared.upgrade() else { return };
    if let Err(error) = shared.world().end_job(&call, state) {
        tracing::warn!(%call, %error, "the end of a simulated job could not be kept");
    }
}
