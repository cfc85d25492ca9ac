//! Held calls: those that were approved go on, those whose time is over end, and no seal outlives its call.
//!
//! INVARIANT: which of them is due is read from the log, so a crash between any two steps only delays them. One of which nothing
//! new is recorded costs no read, and no queued call waits for any of them (P13).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::turns::in_turns;
use super::{POLL_INTERVAL, Worker};
use crate::core::approval::Approval;
use crate::core::call::Status;
use crate::core::id::{CallId, Position};
use crate::core::job::Job;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;
use crate::log::claim::covering;
use crate::log::hold::{Due, Released, approval_row};
use crate::log::store::{StateRow, StoreError};

/// A seal is written before its intent; one that is older than this and has no open call has none any more.
const WRITTEN: Duration = Duration::from_mins(10);

/// How many are decided again at once: what one waits for must not keep the others.
const MAX_CONCURRENT: usize = 16;

/// Held calls that nobody has to look at, up to their newest event.
type LookedAt = BTreeMap<CallId, Position>;

impl Worker {
    /// Lets held calls go on as soon as they are approved, and ends those that a switch covers, until `stop`.
    pub(super) async fn release_until(self: Arc<Self>, stop: CancellationToken) {
        let (mut held, mut looked_at) = (self.held.subscribe(), LookedAt::new());
        loop {
            let jobs = Arc::clone(&held.borrow_and_update());
            let done = self.release_all(&jobs, &mut looked_at, &stop).await;
            let woken = async {
                // What was not done is tried again, though nothing moves.
                let pause = if done { Duration::MAX } else { POLL_INTERVAL };
                let _ = tokio::time::timeout(pause, held.changed()).await;
            };
            if stop.run_until_cancelled(woken).await.is_none() {
                return;
            }
        }
    }

    /// Looks at those of which something new is recorded; answers whether none has to be looked at again as it is.
    async fn release_all(&self, jobs: &[Job], looked_at: &mut LookedAt, stop: &CancellationToken) -> bool {
        let open: BTreeSet<&CallId> = jobs.iter().map(|job| &job.call).collect();
        looked_at.retain(|call, _| open.contains(call));
        let mut news = in_turns(jobs);
        news.retain(|job| looked_at.get(&job.call) != Some(&job.last) || self.is_covered(job));
        if news.is_empty() {
            return true;
        }
        if self.control.starts_nothing().is_some() || !self.control.ports.fence().holds_lease() {
            return false;
        }
        let approvals = match self.approvals(&news).await {
            Ok(approvals) => approvals,
            Err(error) => {
                tracing::error!(%error, "what waits for a person cannot be read");
                return false;
            }
        };
        let mut looks = Vec::with_capacity(news.len());
        for job in news {
            looks.push(self.look(job, approvals.get(&job.call), stop));
        }
        let looks: Vec<(&Job, bool)> = futures::stream::iter(looks).buffer_unordered(MAX_CONCURRENT).collect().await;
        let all_done = looks.iter().all(|(_, done)| *done);
        looked_at.extend(looks.into_iter().filter(|(_, done)| *done).map(|(job, _)| (job.call.clone(), job.last)));
        all_done
    }

    /// One of them, which waits for the next start once this node stops.
    async fn look<'a>(&self, job: &'a Job, approval: Option<&Approval>, stop: &CancellationToken) -> (&'a Job, bool) {
        (job, stop.is_cancelled() || self.release(job, approval).await)
    }

    /// Lets a held call go on if everybody approved it; answers whether it need not be looked at again.
    async fn release(&self, job: &Job, approval: Option<&Approval>) -> bool {
        // Without an approval nobody could ever answer it.
        let Some(approval) = approval.filter(|_| !self.is_covered(job)) else { return self.end_due(job).await };
        if !approval.is_granted() {
            return true;
        }
        match self.control.release(job, approval).await {
            Ok(Released::Unfit) => {
                self.invalid_rows.note(job);
                true
            }
            Ok(released) => released != Released::Unsettled,
            Err(error) => {
                tracing::warn!(call_id = %job.call, %error, "an approved call could not be decided again yet");
                false
            }
        }
    }

    fn is_covered(&self, job: &Job) -> bool {
        let (state, now) = (self.control.ports.fence().state(), self.control.ports.clock.now());
        self.control.catalogue.get(&job.tool).is_some_and(|tool| covering(&state, job, tool.facts, now).is_some())
    }

    /// What these calls wait for, in one read. A row that is gone or is no approval is none.
    async fn approvals(&self, jobs: &[&Job]) -> Result<BTreeMap<CallId, Approval>, StoreError> {
        let names: BTreeMap<String, &CallId> =
            jobs.iter().map(|job| (approval_row(&job.account, &job.call), &job.call)).collect();
        let asked: Vec<String> = names.keys().cloned().collect();
        let rows = self.control.ports.reader.store.state_rows(&asked).await?;
        let read = |row: &StateRow| Some((CallId::clone(names.get(&row.name)?), serde_json::from_slice(&row.doc).ok()?));
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Ends what nobody approved in time, and what nobody can approve any more.
    pub(super) async fn end_holds(&self) {
        let (store, now) = (&self.control.ports.reader.store, self.control.ports.clock.now());
        let rows = match store.state(&["approval", "job"]).await {
            Ok(rows) => rows,
            Err(error) => return tracing::error!(%error, "held calls cannot be looked up"),
        };
        let (jobs, approvals): (Vec<StateRow>, Vec<StateRow>) = rows.into_iter().partition(|row| row.name.starts_with("job:"));
        let read = |row: &StateRow| Some((row.name.clone(), serde_json::from_slice::<Approval>(&row.doc).ok()?));
        let approvals: BTreeMap<String, Approval> = approvals.iter().filter_map(read).collect();
        let mut held = self.invalid_rows.read(&jobs);
        held.retain(|job| {
            let approval = approvals.get(&approval_row(&job.account, &job.call));
            job.status == Status::Held && approval.is_none_or(|approval| approval.is_over(now))
        });
        for job in in_turns(&held) {
            self.end_due(job).await;
        }
    }

    /// Ends a held call that a switch covers, or whose time is over; false if it goes on as it was.
    async fn end_due(&self, job: &Job) -> bool {
        let ports = &self.control.ports;
        let Some(tool) = self.control.catalogue.get(&job.tool) else { return true };
        match ports.writer.end_due(job, tool.facts, ports.event_id()).await {
            Ok(Due::Ended(code)) => {
                self.control.end_held(job, &Refusal::new(code, code.of_held())).await;
                true
            }
            Ok(Due::Not) => false,
            Ok(Due::Unfit) => {
                self.invalid_rows.note(job);
                true
            }
            Err(error) => {
                tracing::error!(call_id = %job.call, %error, "a held call could not be ended yet");
                false
            }
        }
    }

    /// Forgets sealed arguments that a crash has left of a call that has ended, or that was never recorded.
    pub(super) async fn sweep_seals(&self) {
        let ports = &self.control.ports;
        let calls = match ports.reader.vault.sealed_calls().await {
            Ok(calls) if calls.is_empty() => return,
            Ok(calls) => calls,
            Err(error) => return tracing::error!(%error, "sealed arguments cannot be looked up"),
        };
        let Ok(rows) = ports.reader.store.state(&["job"]).await else { return };
        let open: BTreeSet<&str> = rows.iter().filter_map(|row| row.name.strip_prefix("job:")).collect();
        let long_ago = Micros(ports.clock.now().0.saturating_sub(i64::try_from(WRITTEN.as_micros()).unwrap_or(i64::MAX)));
        for call in calls.iter().filter(|call| !open.contains(call.as_str()) && call.made_at() < long_ago) {
            ports.forget_seal(call).await;
        }
    }
}
