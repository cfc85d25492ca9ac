//! The worker: claims, executes, times out, cancels, recovers and reconciles.
//!
//! ```text
//! assignments ─┐
//! queued jobs ─┼─▶ run (handler under a time limit) ─▶ control.finish (terminal event, retried until durable)
//! orphans ─────┘
//! held calls ──▶ by themselves: decided again once approved, ended when their time is over
//! look: whether a stop could be written, and the vault answers
//! beat: lease, fence confirmation, refusal runs, expired switches
//! beside it, each by itself: orphans ─ held calls whose time is over ─ seals ─ what ended unknown, by resource
//! ```
//!
//! INVARIANT: nothing runs without an `Admitted`; what this node runs is in hand (`control::InFlight`) from before its intent
//! is written until its terminal event is durable.

pub mod heartbeat;
mod holds;
mod hostname;
mod invalid_rows;
mod orphans;
mod reconcile;
mod retry_schedule;
mod run;
mod stop_readiness;
mod turns;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::{Assignment, Control};
use crate::core::call::Status;
use crate::core::id::{CallId, Position};
use crate::core::job::Job;
use crate::core::state::ControlState;
use crate::core::switch::Running as OnRunning;
use crate::log::claim::Claimed;
use invalid_rows::InvalidRows;
use orphans::Settled;
use retry_schedule::RetrySchedule;
use run::Running;
use turns::in_turns;

/// How often queued jobs are looked for, if nobody says that there are some.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How many queued calls are claimed before it is looked again whose turn it is.
const MAX_CLAIMED: usize = 16;

/// One node's worker.
pub struct Worker {
    control: Arc<Control>,
    lease: Duration,
    running: Mutex<HashMap<CallId, Arc<Running>>>,
    tasks: TaskTracker,
    settled: Mutex<Settled>,
    invalid_rows: InvalidRows,
    /// The calls that wait for a person, as they were when the log was looked at last.
    held: watch::Sender<Arc<Vec<Job>>>,
    turns: Arc<RetrySchedule>,
    beats: AtomicU64,
    host: Option<String>,
}

impl Worker {
    /// A worker whose node lease lasts `lease` from each beat.
    #[must_use]
    pub fn new(control: Arc<Control>, lease: Duration) -> Arc<Self> {
        control.ports.fence().peers().are_beside(&control.ports.node);
        for (name, compute) in &control.ports.compute {
            if let Err(error) = compute.enter(&control.ports.node) {
                // Calls of this node at this provider can then not be reconciled after a crash, and no node will claim that they can.
                tracing::error!(provider = name, %error, "this node cannot be noted beside the provider's journal");
            }
        }
        Arc::new(Self {
            control,
            lease,
            running: Mutex::default(),
            tasks: TaskTracker::new(),
            settled: Mutex::default(),
            invalid_rows: InvalidRows::default(),
            held: watch::Sender::default(),
            turns: Arc::default(),
            beats: AtomicU64::new(0),
            host: hostname::host(),
        })
    }

    /// Takes the lease, then works until `stop`; then lets what runs end for at most `grace`. What is left is recovered
    /// by the next start.
    pub async fn work(
        self: Arc<Self>,
        mut assigned: mpsc::UnboundedReceiver<Assignment>,
        stop: CancellationToken,
        grace: Duration,
    ) {
        // What still runs after `stop` needs the lease, and is stopped by switches.
        let over = CancellationToken::new();
        let beating = tokio::spawn(Arc::clone(&self).beat_until(over.clone()));
        let obeying = tokio::spawn(Arc::clone(&self).obey_switches(over.clone()));
        let looking = tokio::spawn(Arc::clone(&self).look_until(over.clone()));
        let confirming = tokio::spawn(Arc::clone(&self).confirm_until(over.clone()));
        let hearing = tokio::spawn(Arc::clone(&self).hear_until(over.clone()));
        // Each by itself: what one waits for must not keep the others.
        let recovering = [
            tokio::spawn(Arc::clone(&self).repeat_until(stop.clone(), |worker| async move { worker.recover_all().await })),
            tokio::spawn(Arc::clone(&self).repeat_until(stop.clone(), |worker| async move { worker.end_holds().await })),
            tokio::spawn(Arc::clone(&self).repeat_until(stop.clone(), |worker| async move { worker.sweep_seals().await })),
            tokio::spawn(Arc::clone(&self).release_until(stop.clone())),
            tokio::spawn(Arc::clone(&self).reconcile_until(stop.clone())),
        ];
        let taking = tokio::spawn(Arc::clone(&self).take_until(stop.clone()));
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                assignment = assigned.recv() => match assignment {
                    Some(assignment) => self.start(assignment),
                    None => break,
                },
            }
        }
        // What it has claimed it still hands over.
        let _ = taking.await;
        while let Ok(assignment) = assigned.try_recv() {
            self.start(assignment);
        }
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!(running = self.lock().len(), "calls still run at shutdown; the next start recovers them");
        }
        // What still runs sends nothing any more, and others may end it.
        self.control.ports.fence().give_up();
        over.cancel();
        for task in [beating, obeying, looking, confirming, hearing].into_iter().chain(recovering) {
            task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, assignment: Assignment) {
        let (call, is_sealed) = (assignment.execution.call().clone(), assignment.execution.admitted.is_sealed());
        let running = Arc::new(Running::of(&assignment.execution));
        self.lock().insert(call.clone(), Arc::clone(&running));
        self.obey_what_stands(&call);
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            run::run(&worker.control, &running, assignment).await;
            if is_sealed {
                worker.control.ports.forget_seal(&call).await;
            }
            worker.lock().remove(&call);
            worker.control.in_flight.release(&call);
        });
    }

    async fn take_until(self: Arc<Self>, stop: CancellationToken) {
        let mut looked = None;
        loop {
            self.look_at_log(&mut looked).await;
            let woken = tokio::time::timeout(POLL_INTERVAL, self.control.queued.notified());
            if stop.run_until_cancelled(woken).await.is_none() {
                return;
            }
        }
    }

    /// Takes over control state that another node has moved; answers where the log was.
    async fn catch_up(&self) -> Option<Position> {
        // Publishes what moved. An error is told where it happens.
        self.control.ports.writer.fresh().await.ok().map(|fresh| fresh.position())
    }

    /// Takes over what was queued since the log was at `looked`.
    async fn look_at_log(self: &Arc<Self>, looked: &mut Option<Position>) {
        let Some(position) = self.catch_up().await else { return };
        // What it claimed without a lease it could only cancel.
        if *looked == Some(position) || !self.control.ports.fence().holds_lease() {
            return;
        }
        *looked = self.take_queued().await.then_some(position);
    }

    /// Claims what waits; answers whether nothing of it has to be looked at again.
    async fn take_queued(self: &Arc<Self>) -> bool {
        let rows = match self.control.ports.reader.store.state(&["job"]).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "queued calls cannot be looked up");
                return false;
            }
        };
        let jobs = self.invalid_rows.read(&rows);
        // First of all: what waits may need the vault, and that may hang.
        for job in jobs.iter().filter(|job| job.status == Status::Running && job.cancel_asked) {
            self.cancel(&job.call);
        }
        if self.control.starts_nothing().is_some() {
            return false;
        }
        let (held, open): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.status == Status::Held);
        // Looked at by another task: no queued call waits for one that is held.
        self.held.send_replace(Arc::new(held));
        self.take_in_turns(&open).await
    }

    /// Claims queued calls, of each account in its turn; answers whether none is left.
    async fn take_in_turns(self: &Arc<Self>, open: &[Job]) -> bool {
        let is_queued = |job: &&Job| job.status == Status::Queued && self.control.catalogue.get(&job.tool).is_some();
        let (mut all_taken, mut taken) = (true, 0);
        for job in in_turns(open).into_iter().filter(is_queued) {
            if taken == MAX_CLAIMED {
                // Whoever has come meanwhile has a turn before the rest of these.
                self.control.queued.notify_one();
                return false;
            }
            let is_taken = self.take(job).await;
            taken += usize::from(is_taken);
            all_taken &= is_taken;
        }
        all_taken
    }

    /// Cancels a call that the staff want ended, if it runs here.
    fn cancel(&self, call: &CallId) {
        if let Some(running) = self.lock().get(call) {
            running.cancel.cancel();
        }
    }

    /// Claims a call that no node runs and executes it; answers whether the log could say whose it is.
    async fn take(self: &Arc<Self>, job: &Job) -> bool {
        let Some(tool) = self.control.catalogue.get(&job.tool) else { return true };
        let (node, id) = (self.control.ports.node.clone(), self.control.ports.event_id());
        self.control.in_flight.take(&job.call);
        match self.control.ports.writer.claim(job, tool.facts, node, id).await {
            Ok(Claimed::Admitted(admitted, job)) => self.resume(&job, tool, admitted).await,
            Ok(Claimed::Cancelled) => {
                self.control.in_flight.release(&job.call);
                if job.sealed {
                    self.control.ports.forget_seal(&job.call).await;
                }
            }
            Ok(Claimed::Gone) => self.control.in_flight.release(&job.call),
            Ok(Claimed::Unfit) => {
                self.control.in_flight.release(&job.call);
                self.invalid_rows.note(job);
            }
            Err(error) => {
                self.control.in_flight.lose(&job.call);
                tracing::warn!(call_id = %job.call, %error, "a queued call could not be claimed");
                return false;
            }
        }
        true
    }

    /// Cancels what runs under a switch that says so, as soon as this node knows of it.
    async fn obey_switches(self: Arc<Self>, over: CancellationToken) {
        let mut changes = self.control.ports.fence().changes();
        while let Some(Ok(())) = over.run_until_cancelled(changes.changed()).await {
            let state = changes.borrow_and_update().clone();
            for running in self.lock().values() {
                self.obey(running, &state);
            }
        }
    }

    /// The same for a call that was not among those that run when the switch became known.
    fn obey_what_stands(&self, call: &CallId) {
        let state = self.control.ports.fence().state();
        if let Some(running) = self.lock().get(call) {
            self.obey(running, &state);
        }
    }

    fn obey(&self, running: &Running, state: &ControlState) {
        let now = self.control.ports.clock.now();
        if running.covering(state, now).any(|switch| switch.running == OnRunning::Cancel) {
            running.cancel.cancel();
        }
    }
}
