//! Held calls: those that were approved go on, those whose time is over end, and no seal outlives its call.
//!
//! INVARIANT: which of them is due is read from the log each time, so a crash between any two steps only delays them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Worker;
use crate::core::approval::Approval;
use crate::core::job::Job;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;
use crate::log::admission::job_row;
use crate::log::claim::covering;
use crate::log::hold::{Due, Released, approval_row};
use crate::log::store::StoreError;

/// A seal is written before its intent; one that is older than this and has no open call has none any more.
const WRITTEN: Duration = Duration::from_mins(10);

impl Worker {
    /// Lets a held call go on if everybody approved it; answers whether it need not be looked at again.
    pub(super) async fn release(self: &Arc<Self>, job: &Job) -> bool {
        let (state, now) = (self.control.ports.fence().state(), self.control.ports.clock.now());
        let tool = self.control.catalogue.get(&job.tool);
        if tool.is_some_and(|tool| covering(&state, job, tool.facts, now).is_some()) {
            return self.end_due(job).await;
        }
        let approval = match self.approval(job).await {
            Ok(Some(approval)) if !approval.is_granted() => return true,
            Ok(Some(approval)) => approval,
            // Nobody could ever answer it.
            Ok(None) => return self.end_due(job).await,
            Err(error) => {
                tracing::error!(call_id = %job.call, %error, "what waits for a person cannot be read");
                return false;
            }
        };
        match self.control.release(job, &approval).await {
            // Queued is to be claimed.
            Ok(Released::Unfit) => {
                self.invalid_rows.note(job);
                true
            }
            Ok(released) => matches!(released, Released::Refused(_) | Released::Gone),
            Err(error) => {
                tracing::warn!(call_id = %job.call, %error, "an approved call could not be decided again yet");
                false
            }
        }
    }

    /// A row that is gone or is no approval is none.
    async fn approval(&self, job: &Job) -> Result<Option<Approval>, StoreError> {
        let rows = self.control.ports.reader.store.state_rows(&[approval_row(&job.account, &job.call)]).await?;
        Ok(rows.first().and_then(|row| serde_json::from_slice(&row.doc).ok()))
    }

    /// Ends what nobody approved in time.
    pub(super) async fn end_holds(&self) {
        let (store, now) = (&self.control.ports.reader.store, self.control.ports.clock.now());
        let rows = match store.state(&["approval"]).await {
            Ok(rows) => rows,
            Err(error) => return tracing::error!(%error, "held calls cannot be looked up"),
        };
        let approvals = rows.iter().filter_map(|row| serde_json::from_slice::<Approval>(&row.doc).ok());
        for approval in approvals.filter(|approval| approval.is_over(now)) {
            let job = store.state_rows(&[job_row(&approval.call)]).await.unwrap_or_default();
            let job = job.first().and_then(|row| serde_json::from_slice::<Job>(&row.doc).ok());
            if let Some(job) = job.filter(|job| !self.invalid_rows.holds(job)) {
                self.end_due(&job).await;
            }
        }
    }

    /// Ends a held call that a switch covers, or whose time is over; false if that was not written.
    async fn end_due(&self, job: &Job) -> bool {
        let ports = &self.control.ports;
        let Some(tool) = self.control.catalogue.get(&job.tool) else { return true };
        match ports.writer.end_due(job, tool.facts, ports.event_id()).await {
            Ok(Due::Ended(code)) => {
                self.control.end_held(job, &Refusal::new(code, code.of_held())).await;
                true
            }
            Ok(Due::Not) => true,
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
