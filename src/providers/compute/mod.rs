//! The `Compute` port: virtual machines and the commands that run in them.
//!
//! Every mutation carries the id of the call that asked for it. An adapter keeps that id with the effect, in a
//! journal that outlives this process, so that [`Compute::find_change`], [`Compute::find_created`] and [`GuestJobs::status`] can
//! say after a crash whether the thing happened (P4).

mod hostname;
pub mod qemu;
pub mod sim;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::hostname::Hostname;
use crate::core::id::{CallId, NodeId};
use crate::providers::Permit;
use crate::providers::provider_text::ProviderText;

/// What the provider calls one of its machines: a directory name for `qemu`, a number for others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineRef(pub String);

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PowerState {
    /// It runs.
    Running,
    /// It is off.
    Stopped,
    /// It is held in memory without running.
    Paused,
    /// The provider cannot say.
    Unknown,
}

/// What can be done to a machine's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PowerAction {
    /// Turn on.
    Start,
    /// Ask the guest to turn itself off.
    Shutdown,
    /// Ask the guest to turn itself off, then turn it on.
    Reboot,
    /// Cut the power.
    Stop,
    /// Cut the power and turn it on.
    Reset,
}

/// A machine as the provider sees it now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The provider's own name for it.
    pub machine: MachineRef,
    /// Name shown to people.
    pub label: String,
    /// What it is called in its network.
    pub hostname: String,
    /// Operating system, as a short text.
    pub os: String,
    /// Where it stands.
    pub region: String,
    /// First IPv4 address, if known.
    pub ipv4: Option<String>,
    /// Virtual processors.
    pub vcpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Disk in GiB.
    pub disk_gib: u32,
    /// Whether it runs.
    pub power: PowerState,
}

/// Figures of a running machine. `live` is absent when the guest is quiet, which is not the same as off.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stats {
    /// Whether it runs.
    pub power: PowerState,
    /// What the guest says of itself.
    pub live: Option<LiveStats>,
}

/// What a guest says of itself.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LiveStats {
    /// Seconds since it booted.
    pub uptime_seconds: u64,
    /// One-minute load average.
    pub load1: f64,
    /// Memory in use, MiB.
    pub memory_used_mib: u64,
    /// Memory in all, MiB.
    pub memory_total_mib: u64,
}

/// What a provider can do; what it cannot is the code `not_implemented`, never a surprise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Capabilities {
    /// The power actions it knows.
    pub power: Vec<PowerAction>,
    /// Commands can be run in its guests.
    pub guest: bool,
    /// It is a simulation: nothing it says is about a real machine.
    pub simulation: bool,
}

/// Why a provider did not do what it was asked. What it says itself is bounded and scrubbed by its type.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No such machine or job.
    #[error("the provider has no {0}")]
    NotFound(ProviderText),
    /// The machine's state does not allow it.
    #[error("the machine's state does not allow it: {0}")]
    State(ProviderText),
    /// The provider cannot do this at all.
    #[error("the provider cannot {0}")]
    Unsupported(&'static str),
    /// The guest does not answer; nothing was started.
    #[error("the guest does not answer: {0}")]
    GuestUnavailable(ProviderText),
    /// It refused or failed, and nothing was changed.
    #[error("the provider refused: {0}")]
    Refused(ProviderText),
    /// It could not be reached; nothing was sent.
    #[error("reaching the provider: {0}")]
    Unreachable(ProviderText),
    /// The request was sent and the answer was lost: it may or may not have happened. Never retried.
    #[error("the provider's answer was lost: {0}")]
    AnswerLost(ProviderText),
}

/// What became of a change, as the provider's journal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It happened.
    Happened,
    /// It was never begun, and will not be.
    DidNotHappen,
    /// It has begun and is not finished.
    Running,
    /// The provider cannot tell.
    CannotTell,
}

/// A provider of virtual machines.
#[async_trait]
pub trait Compute: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;
    /// Every machine it has, in a stable order.
    async fn list(&self) -> Result<Vec<Machine>, ProviderError>;
    /// One machine.
    async fn get(&self, machine: &MachineRef) -> Result<Machine, ProviderError>;
    /// One machine's figures.
    async fn stats(&self, machine: &MachineRef) -> Result<Stats, ProviderError>;
    /// Changes a machine's power and returns when the change is complete. Journalled under `call` before it is sent.
    async fn power(&self, machine: &MachineRef, action: PowerAction, call: &CallId, permit: Permit) -> Result<(), ProviderError>;
    /// Gives a machine another host name. Its guest may learn of it only when it starts. Journalled under `call` before it is sent.
    async fn rename(&self, _: &MachineRef, _hostname: &Hostname, _call: &CallId, _permit: Permit) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("rename machines"))
    }
    /// What became of the change of this machine that `call` asked for.
    async fn find_change(&self, machine: &MachineRef, call: &CallId) -> Result<Effect, ProviderError>;
    /// Makes a machine of the provider's usual size with this name, which is off, and says what it is called there. Journalled under
    /// `call` before it is sent.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "no operation makes machines yet; tests do"))]
    async fn create(&self, _label: &str, _call: &CallId, _permit: Permit) -> Result<MachineRef, ProviderError> {
        Err(ProviderError::Unsupported("make machines"))
    }
    /// What became of what `call` asked to be made.
    async fn find_created(&self, _call: &CallId) -> Result<Effect, ProviderError> {
        Ok(Effect::CannotTell)
    }
    /// Says that `node` works with this adapter from now on: what it does is in the journal that the adapter keeps. Said before
    /// anything is done. An adapter whose journal is the provider's own, the same for everybody, has nothing to do.
    fn enter(&self, _node: &NodeId) -> Result<(), ProviderError> {
        Ok(())
    }
    /// Whether the journal that this adapter reads has what `node` did: that nothing is there of it otherwise means nothing.
    fn journal_covers(&self, _node: &NodeId) -> Result<bool, ProviderError> {
        Ok(true)
    }
    /// The commands in its guests, if it has a guest channel.
    fn guest(&self) -> Option<Arc<dyn GuestJobs>>;
}

/// A command to run in a guest as root.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// Text for the guest's shell.
    pub command: String,
    /// Absolute directory to run it in; the guest's default if absent.
    pub working_directory: Option<String>,
    /// The guest itself ends the job after this long while its shell runs, even if nobody is left to ask (1 s … 2 h).
    pub time_limit: Duration,
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    /// Its shell runs.
    Running,
    /// Its shell ended by itself with this exit code (128 + n for signal n).
    Exited {
        /// Exit code.
        code: i32,
    },
    /// It was ended because its time was over.
    TimedOut,
    /// It was ended by [`GuestJobs::cancel`].
    Cancelled,
    /// It is gone and left no exit code (the guest was reset, or it was killed from inside).
    Gone,
}

/// A job's state and how much it has written so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// How it stands.
    #[serde(flatten)]
    pub state: JobState,
    /// Bytes of standard output in the spool (at most 64 MiB).
    pub stdout_bytes: u64,
    /// Bytes of standard error in the spool (at most 64 MiB).
    pub stderr_bytes: u64,
    /// Processes that the command had left running when its shell ended. They run on, and what they write is dropped.
    #[serde(default)]
    pub left_running: u32,
}

/// Which of a job's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Commands that run in a guest and outlive the connection to it. A job's id is the id of the call that started it.
#[async_trait]
pub trait GuestJobs: Send + Sync {
    /// Starts a job in a process group of its own; returns when it runs. The job ends when its shell ends; what that leaves
    /// behind runs on, and is counted. Starting the same `call` twice is [`ProviderError::State`].
    async fn start(&self, machine: &MachineRef, call: &CallId, job: &JobSpec, permit: Permit) -> Result<(), ProviderError>;
    /// How a job stands; [`ProviderError::NotFound`] if it was never started there.
    async fn status(&self, machine: &MachineRef, call: &CallId) -> Result<JobStatus, ProviderError>;
    /// At most `max` bytes of a job's output from byte `offset`; empty at the end.
    async fn read(
        &self,
        machine: &MachineRef,
        call: &CallId,
        stream: Stream,
        offset: u64,
        max: u32,
    ) -> Result<Vec<u8>, ProviderError>;
    /// Ends a job's processes, also those that left its group: TERM, two seconds, KILL. Returns when they are gone. Ending an
    /// ended job changes nothing.
    async fn cancel(&self, machine: &MachineRef, call: &CallId, permit: Permit) -> Result<JobStatus, ProviderError>;
    /// Waits until the job has ended or `at_most` has passed, and says how it stands. May poll.
    async fn wait(&self, machine: &MachineRef, call: &CallId, at_most: Duration) -> Result<JobStatus, ProviderError>;
}
