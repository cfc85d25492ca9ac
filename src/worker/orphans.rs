//! Orphans: open calls whose node is gone. None stays open for ever (P2), none that is not idempotent runs twice (P4).
//!
//! ```text
//! joined an earlier call ─▶ ends as that one ends
//! idempotent             ─▶ decided again, Started by this node, run again
//! never started here     ─▶ cancelled: this node has it on record and never ran it
//! anything else          ─▶ unknown, then reconciled with the provider
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::control::{Control, Ending};
use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::event::{IntentRecorded, Kind};
use crate::core::id::NodeId;
use crate::core::job::{Job, Node};
use crate::core::principal::Principal;
use crate::log::admission::Admitted;
use crate::log::claim::Claimed;
use crate::log::closing::Closing;
use crate::log::reading::ReadError;
use crate::tools::Tool;

impl Worker {
    /// Ends or takes over what dead nodes left open, and what this node has on record without running it.
    pub(super) async fn recover(self: &Arc<Self>) {
        // Looked at before and after the rows are read: a call in hand at either time is not an orphan.
        let (before, node) = (self.control.in_hand.all(), self.control.ports.node.clone());
        let rows = match self.control.ports.reader.store.state(&["job", "node"]).await {
            Ok(rows) => rows,
            Err(error) => return tracing::error!(%error, "orphans cannot be looked up"),
        };
        let now = self.control.ports.clock.now();
        let read = |row: &crate::log::store::StateRow| serde_json::from_slice::<Node>(&row.doc).ok();
        let alive: BTreeSet<NodeId> = rows
            .iter()
            .filter(|row| row.name.starts_with("node:"))
            .filter_map(read)
            .filter(|node| node.lease_until > now)
            .map(|node| node.id)
            .collect();
        let jobs =
            rows.iter().filter(|row| row.name.starts_with("job:")).filter_map(|row| serde_json::from_slice::<Job>(&row.doc).ok());
        for job in jobs.filter(|job| job.status == Status::Running) {
            match &job.node {
                _ if before.contains(&job.call) || self.control.in_hand.holds(&job.call) => {}
                // Its commit was reported lost and was not: nobody was ever given leave to start it.
                Some(owner) if *owner == node => {
                    self.control.ports.writer.stats().recovered.count("cancelled");
                    self.end(&job, Outcome::Cancelled(Code::AuditUnavailable)).await;
                }
                Some(owner) if alive.contains(owner) => {}
                _ => self.adopt(&job).await,
            }
        }
        self.reconcile_unknown().await;
        self.reconcile_claims().await;
    }

    async fn adopt(self: &Arc<Self>, job: &Job) {
        let recovered = &self.control.ports.writer.stats().recovered;
        if let Some(first) = job.joins.clone() {
            recovered.count("joined");
            let (control, call, tool) = (Arc::clone(&self.control), job.call.clone(), job.tool.clone());
            self.tasks.spawn(async move { control.end_joined(&call, &first, &tool, None).await });
            return;
        }
        if !job.idempotent {
            recovered.count("unknown");
            return self.end(job, Outcome::Unknown("the node that ran it is gone".into())).await;
        }
        let Some(tool) = self.control.catalogue.get(&job.tool) else { return };
        let (node, id) = (self.control.ports.node.clone(), self.control.ports.event_id());
        self.control.in_hand.take(&job.call);
        match self.control.ports.writer.take_over(job, tool.facts, node, id).await {
            Ok(Claimed::Admitted(admitted)) => {
                recovered.count("taken_over");
                self.resume(job, tool, admitted).await;
            }
            Ok(Claimed::Cancelled(_) | Claimed::Gone) => self.control.in_hand.release(&job.call),
            Err(error) => {
                self.control.in_hand.release(&job.call);
                tracing::warn!(call_id = %job.call, %error, "an orphan could not be taken over");
            }
        }
    }

    /// Executes a claimed call from what the log has of it, after the policies were asked again.
    pub(super) async fn resume(self: &Arc<Self>, job: &Job, tool: &Tool, admitted: Admitted) {
        let (principal, args) = match recorded_request(&self.control, job).await {
            Ok(Some(found)) => found,
            Ok(None) => return self.end(job, Outcome::Unknown("its arguments are gone".into())).await,
            Err(error) => {
                tracing::error!(call_id = %job.call, %error, "an open call cannot be read back");
                return self.end(job, Outcome::Unknown("its arguments cannot be read back".into())).await;
            }
        };
        let state = self.control.ports.fence().state();
        let vm = job.vm.as_ref().and_then(|id| state.vms.get(id)).cloned();
        let live = state.credentials.get(&job.credential).is_some_and(|credential| credential.revoked_at.is_none());
        let verdict = self.control.verdict(&principal, Some(tool.facts), vm.as_ref());
        if !live || !verdict.permit || verdict.hold.is_some() {
            let code = if live { Code::PolicyDenied } else { Code::TokenRevoked };
            return self.end(job, Outcome::Cancelled(code)).await;
        }
        let cancel = CancellationToken::new();
        let ports = Arc::clone(&self.control.ports);
        let execution =
            crate::tools::Execution { admitted, tool: tool.facts, principal, args, vm, ports, cancel, progress: None };
        self.start(crate::control::Assignment { execution, done: None });
    }

    pub(super) async fn end(&self, job: &Job, outcome: Outcome) {
        let Some(tool) = self.control.catalogue.get(&job.tool) else { return };
        let depends = Closing::depends_on(job);
        let ending =
            Ending { call: &job.call, account: &job.account, tool, depends, replay_of: None, switch: None, recovering: true };
        self.control.finish(ending, outcome, None).await;
        self.control.in_hand.release(&job.call);
    }
}

/// Who asked, and with which arguments, from the intent. None if a secret or an erased key is in the way.
async fn recorded_request(control: &Control, job: &Job) -> Result<Option<(Principal, Value)>, ReadError> {
    let reader = &control.ports.reader;
    let Some(event) = reader.event(job.intent).await? else { return Ok(None) };
    let Kind::IntentRecorded(intent) = &event.kind else { return Ok(None) };
    let Some(recorded) = reader.part(&event, "arguments").await? else { return Ok(None) };
    let args = recorded["args"].clone();
    if event.parts.iter().any(|part| part.truncated) || args.to_string().contains("\"$redacted\"") {
        return Ok(None);
    }
    Ok(Some((principal_of(intent), args)))
}

fn principal_of(intent: &IntentRecorded) -> Principal {
    Principal {
        side: intent.side,
        account: intent.account.clone(),
        user: intent.user.clone(),
        credential: intent.credential.clone(),
        via: intent.via,
        ip: None,
        read_only: false,
    }
}
