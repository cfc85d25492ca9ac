//! The state of the simulation, and the one place where it changes.
//!
//! Invariant: [`World::apply`] alone changes what the journals tell; what they do not tell (jobs that run now, power
//! changes under way) lives only as long as this process.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::journal::{Journal, Origin, Record};
use super::spool;
use crate::core::id::CallId;
use crate::core::time::{Clock, Micros};
use crate::providers::compute::{
    Effect, Hostname, JobState, JobStatus, Machine, MachineRef, PowerAction, PowerState, ProviderError, Stream,
};

/// Most bytes of one stream that a job may write.
const SPOOL: usize = 64 * 1024 * 1024;

/// A simulated machine.
#[derive(Debug)]
pub(super) struct Simulated {
    pub machine: Machine,
    pub booted_at: Micros,
    /// When its power last changed.
    changed_at: Micros,
    /// When it was last renamed.
    renamed_at: Micros,
    /// A power change is under way.
    pub changing: bool,
}

impl Simulated {
    fn new(machine: Machine) -> Self {
        Self { machine, booted_at: Micros(0), changed_at: Micros(0), renamed_at: Micros(0), changing: false }
    }
}

/// A job as the journal tells it.
#[derive(Debug)]
struct Job {
    machine: MachineRef,
    origin: Origin,
    status: JobStatus,
}

/// A job that runs in this process.
#[derive(Debug)]
struct Live {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    task: AbortHandle,
    /// Dropped when the job ends, which wakes whoever waits.
    ended: watch::Sender<()>,
}

/// Everything behind the lock.
pub(super) struct World {
    pub machines: BTreeMap<MachineRef, Simulated>,
    changes: HashMap<CallId, (Origin, Effect)>,
    /// Machines that were made, by the call that asked.
    made: HashMap<CallId, MachineRef>,
    jobs: HashMap<CallId, Job>,
    executions: HashMap<CallId, u32>,
    live: HashMap<CallId, Live>,
    /// Requests to change a machine that have not left yet.
    pub waiting: HashMap<CallId, u32>,
    journal: Journal,
    directory: PathBuf,
    clock: Arc<dyn Clock>,
}

impl World {
    pub fn open(directory: PathBuf, machines: Vec<Machine>, clock: Arc<dyn Clock>) -> Result<Self, ProviderError> {
        let (mut journal, records) = Journal::open(&directory)?;
        let opened_at = clock.now();
        let opened = Record::Opened { at: opened_at };
        journal.append(&opened)?;
        let machines = machines.into_iter().map(|machine| {
            let row = Simulated::new(mark(machine));
            (row.machine.machine.clone(), row)
        });
        let mut world = Self {
            machines: machines.collect(),
            changes: HashMap::new(),
            made: HashMap::new(),
            jobs: HashMap::new(),
            executions: HashMap::new(),
            live: HashMap::new(),
            waiting: HashMap::new(),
            journal,
            directory,
            clock,
        };
        for (origin, record) in &records {
            world.apply(*origin, record);
        }
        let own = world.journal.own();
        world.apply(own, &opened);
        for row in world.machines.values_mut() {
            row.booted_at = opened_at;
        }
        Ok(world)
    }

    /// Learns what other processes did. A machine that one of them turned off or on has lost the jobs of this one, and a job
    /// that one of them wants to end ends.
    pub fn follow(&mut self) {
        let news = match self.journal.news() {
            Ok(news) => news,
            Err(error) => return tracing::warn!(%error, "what other processes did to the simulation cannot be read"),
        };
        for (origin, record) in news {
            self.apply(origin, &record);
            let ended = match &record {
                Record::PowerChanged { machine, .. } => self.end_jobs_on(machine),
                Record::EndAsked { call } => self.end_job(call, JobState::Cancelled),
                _ => Ok(()),
            };
            if let Err(error) = ended {
                tracing::warn!(%error, "the end of a simulated job could not be kept");
            }
        }
    }

    fn write(&mut self, record: &Record) -> Result<(), ProviderError> {
        self.journal.append(record)?;
        self.apply(self.journal.own(), record);
        Ok(())
    }

    fn apply(&mut self, origin: Origin, record: &Record) {
        match record {
            Record::Opened { .. } => self.reopen(origin),
            Record::PowerBegun { call, .. } => {
                self.changes.insert(call.clone(), (origin, Effect::Running));
                *self.executions.entry(call.clone()).or_default() += 1;
            }
            Record::PowerChanged { call, machine, power, rebooted_at, at } => {
                self.changes.insert(call.clone(), (origin, Effect::Happened));
                // A machine that is no longer configured keeps its history and has no state.
                if let Some(row) = self.machines.get_mut(machine).filter(|row| row.changed_at <= *at) {
                    row.machine.power = *power;
                    row.booted_at = rebooted_at.unwrap_or(row.booted_at);
                    row.changed_at = *at;
                }
            }
            Record::Renamed { call, machine, hostname, at } => {
                self.changes.insert(call.clone(), (origin, Effect::Happened));
                *self.executions.entry(call.clone()).or_default() += 1;
                if let Some(row) = self.machines.get_mut(machine).filter(|row| row.renamed_at <= *at) {
                    row.machine.hostname = hostname.to_string();
                    row.renamed_at = *at;
                }
            }
            Record::MachineMade { call, machine } => {
                self.made.insert(call.clone(), machine.machine.clone());
                self.machines.entry(machine.machine.clone()).or_insert_with(|| Simulated::new(machine.clone()));
                *self.executions.entry(call.clone()).or_default() += 1;
            }
            Record::JobStarted { call, machine, .. } => {
                let status = JobStatus { state: JobState::Running, stdout_bytes: 0, stderr_bytes: 0, left_running: 0 };
                self.jobs.insert(call.clone(), Job { machine: machine.clone(), origin, status });
                *self.executions.entry(call.clone()).or_default() += 1;
            }
            Record::EndAsked { .. } => {}
            Record::JobEnded { call, status } => {
                if let Some(job) = self.jobs.get_mut(call) {
                    job.status = status.clone();
                }
            }
        }
    }

    /// What ran in the process that had this file is gone, and power changes that were under way never come to be.
    fn reopen(&mut self, of: Origin) {
        self.changes.retain(|_, (origin, effect)| *origin != of || *effect == Effect::Happened);
        let running = |job: &&mut Job| job.origin == of && job.status.state == JobState::Running;
        for job in self.jobs.values_mut().filter(running) {
            job.status.state = JobState::Gone;
        }
    }

    pub fn machine(&self, machine: &MachineRef) -> Result<&Simulated, ProviderError> {
        self.machines.get(machine).ok_or_else(|| ProviderError::NotFound(format!("machine {}", machine.0).into()))
    }

    pub fn uptime_seconds(&self, row: &Simulated) -> u64 {
        self.clock.now().since(row.booted_at).as_secs()
    }

    #[cfg(feature = "testing")]
    pub fn executions(&self, call: &CallId) -> u32 {
        self.executions.get(call).copied().unwrap_or(0)
    }

    pub fn begin_power(&mut self, machine: &MachineRef, action: PowerAction, call: &CallId) -> Result<(), ProviderError> {
        if self.changes.contains_key(call) {
            return Err(ProviderError::State("this change was asked for before".into()));
        }
        let row = self.machine(machine)?;
        let running = row.machine.power == PowerState::Running;
        if row.changing {
            return Err(ProviderError::State("another power change is under way".into()));
        }
        if running == (action == PowerAction::Start) {
            return Err(ProviderError::State(format!("it is {}", if running { "running" } else { "stopped" }).into()));
        }
        let at = self.clock.now();
        self.write(&Record::PowerBegun { call: call.clone(), machine: machine.clone(), action, at })?;
        if let Some(row) = self.machines.get_mut(machine) {
            row.changing = true;
        }
        Ok(())
    }

    pub fn finish_power(&mut self, machine: &MachineRef, action: PowerAction, call: &CallId) -> Result<(), ProviderError> {
        let on = !matches!(action, PowerAction::Shutdown | PowerAction::Stop);
        let power = if on { PowerState::Running } else { PowerState::Stopped };
        let rebooted_at = on.then(|| self.clock.now());
        if let Some(row) = self.machines.get_mut(machine) {
            row.changing = false;
        }
        let at = self.clock.now();
        self.write(&Record::PowerChanged { call: call.clone(), machine: machine.clone(), power, rebooted_at, at })?;
        self.end_jobs_on(machine)
    }

    /// Gives a machine another host name, which its guest sees at once.
    pub fn rename(&mut self, machine: &MachineRef, hostname: &Hostname, call: &CallId) -> Result<(), ProviderError> {
        if self.changes.contains_key(call) {
            return Err(ProviderError::State("this change was asked for before".into()));
        }
        self.machine(machine)?;
        let (call, machine, hostname, at) = (call.clone(), machine.clone(), hostname.clone(), self.clock.now());
        self.write(&Record::Renamed { call, machine, hostname, at })
    }

    fn end_jobs_on(&mut self, machine: &MachineRef) -> Result<(), ProviderError> {
        let jobs: Vec<CallId> =
            self.live.keys().filter(|call| self.jobs.get(call).is_some_and(|job| job.machine == *machine)).cloned().collect();
        jobs.iter().try_for_each(|job| self.end_job(job, JobState::Gone))
    }

    pub fn find_change(&self, call: &CallId) -> Effect {
        // What waits to leave may still happen, so it may not be called undone.
        let waiting = self.waiting.contains_key(call).then_some(Effect::Running);
        let known =
            self.changes.get(call).filter(|(origin, effect)| *effect == Effect::Happened || self.journal.is_alive(*origin));
        known.map(|(_, effect)| *effect).or(waiting).unwrap_or(Effect::DidNotHappen)
    }

    /// Makes a machine, which is off. Its name is that of the call, so that nothing else has it.
    pub fn make(&mut self, label: &str, call: &CallId) -> Result<MachineRef, ProviderError> {
        if self.made.contains_key(call) {
            return Err(ProviderError::State("this machine was asked for before".into()));
        }
        let machine = MachineRef(call.to_string().replace("call_", "made-").to_lowercase());
        let (label, os, region) = (label.to_owned(), "Debian 13".to_owned(), "sim-1".to_owned());
        let (vcpu, memory_mib, disk_gib, power) = (1, 1024, 10, PowerState::Stopped);
        let hostname = machine.0.clone();
        let row =
            Machine { machine: machine.clone(), label, hostname, os, region, ipv4: None, vcpu, memory_mib, disk_gib, power };
        self.write(&Record::MachineMade { call: call.clone(), machine: mark(row) })?;
        Ok(machine)
    }

    pub fn find_made(&self, call: &CallId) -> Effect {
        // What waits to leave may still happen, so it may not be called undone.
        let waiting = if self.waiting.contains_key(call) { Effect::Running } else { Effect::DidNotHappen };
        if self.made.contains_key(call) { Effect::Happened } else { waiting }
    }

    /// Starts a job; `spawn` is called once it is certain to run.
    pub fn begin_job(
        &mut self,
        machine: &MachineRef,
        call: &CallId,
        spawn: impl FnOnce(&Self, &Simulated) -> AbortHandle,
    ) -> Result<(), ProviderError> {
        if self.machine(machine)?.machine.power != PowerState::Running {
            return Err(ProviderError::State("the machine does not run".into()));
        }
        if self.jobs.contains_key(call) {
            return Err(ProviderError::State("this job was started before".into()));
        }
        let at = self.clock.now();
        self.write(&Record::JobStarted { call: call.clone(), machine: machine.clone(), at })?;
        let task = spawn(self, self.machine(machine)?);
        let live = Live { stdout: Vec::new(), stderr: Vec::new(), task, ended: watch::Sender::new(()) };
        self.live.insert(call.clone(), live);
        Ok(())
    }

    /// Ends a job that still runs; one that has ended stays as it ended.
    pub fn end_job(&mut self, call: &CallId, state: JobState) -> Result<(), ProviderError> {
        let Some(live) = self.live.remove(call) else { return Ok(()) };
        live.task.abort();
        let (stdout_bytes, stderr_bytes) = (live.stdout.len() as u64, live.stderr.len() as u64);
        let status = JobStatus { state, stdout_bytes, stderr_bytes, left_running: 0 };
        let ended = Record::JobEnded { call: call.clone(), status };
        // It has ended, whether or not that can be kept.
        self.apply(self.journal.own(), &ended);
        spool::keep(&self.directory, call, Stream::Stdout, &live.stdout)?;
        spool::keep(&self.directory, call, Stream::Stderr, &live.stderr)?;
        self.journal.append(&ended)
    }

    /// Asks the process that a job runs in to end it.
    pub fn ask_to_end(&mut self, call: &CallId) -> Result<(), ProviderError> {
        let elsewhere = |job: &Job| job.origin != self.journal.own() && job.status.state == JobState::Running;
        if !self.jobs.get(call).is_some_and(elsewhere) {
            return Ok(());
        }
        self.write(&Record::EndAsked { call: call.clone() })
    }

    /// Adds to the output of a job that still runs; says whether there is room for more.
    pub fn add_output(&mut self, call: &CallId, stream: Stream, bytes: &[u8]) -> bool {
        let Some(live) = self.live.get_mut(call) else { return false };
        let spool = if stream == Stream::Stdout { &mut live.stdout } else { &mut live.stderr };
        let room = SPOOL.saturating_sub(spool.len());
        spool.extend(bytes.iter().take(room));
        bytes.len() < room
    }

    pub fn job(&self, machine: &MachineRef, call: &CallId) -> Result<JobStatus, ProviderError> {
        let missing = || ProviderError::NotFound(format!("job {call} on machine {}", machine.0).into());
        let job = self.jobs.get(call).filter(|job| job.machine == *machine).ok_or_else(missing)?;
        if let Some(live) = self.live.get(call) {
            let (stdout_bytes, stderr_bytes) = (live.stdout.len() as u64, live.stderr.len() as u64);
            return Ok(JobStatus { state: JobState::Running, stdout_bytes, stderr_bytes, left_running: 0 });
        }
        let died = job.status.state == JobState::Running && !self.journal.is_alive(job.origin);
        Ok(if died { JobStatus { state: JobState::Gone, ..job.status.clone() } } else { job.status.clone() })
    }

    pub fn jobs_on(&self, machine: &MachineRef) -> usize {
        self.live.keys().filter(|call| self.jobs.get(call).is_some_and(|job| job.machine == *machine)).count()
    }

    /// Closes when the job ends; none if it has.
    pub fn ending(&self, call: &CallId) -> Option<watch::Receiver<()>> {
        self.live.get(call).map(|live| live.ended.subscribe())
    }

    pub fn output(&self, call: &CallId, stream: Stream, offset: u64, max: u32) -> Result<Vec<u8>, ProviderError> {
        let bytes = match self.live.get(call) {
            Some(live) if stream == Stream::Stdout => &live.stdout,
            Some(live) => &live.stderr,
            None => return spool::read(&self.directory, call, stream, offset, max),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(bytes.iter().skip(from).take(max as usize).copied().collect())
    }

    /// Ends everything as the death of the process would: nothing more is written.
    pub fn close(&mut self) {
        self.journal.close();
        self.live.drain().for_each(|(_, live)| live.task.abort());
    }
}

/// Makes sure that nobody takes the machine for a real one.
fn mark(mut machine: Machine) -> Machine {
    for name in [&mut machine.label, &mut machine.hostname] {
        if !name.to_lowercase().contains("sim") {
            name.push_str("-sim");
        }
    }
    if !machine.os.ends_with("(simulated)") {
        machine.os.push_str(" (simulated)");
    }
    machine
}
