//! Orphans: open calls whose node is gone. None stays open for ever (P2), none that is not idempotent runs twice (P4).
//!
//! ```text
//! joined an earlier call ─▶ ends as that one ends
//! idempotent             ─▶ decided again, Started by this node, run again
//! never started here     ─▶ cancelled: this node has it on record and never ran it
//! anything else          ─▶ unknown, then reconciled with the provider
//! ```

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::control::Recorded;
use crate::core::call::{Outcome, Status};
use crate::core::chain::Chain;
use crate::core::code::Code;
use crate::core::id::NodeId;
use crate::core::job::Job;
use crate::core::lineage::alive;
use crate::core::resource::Resource;
use crate::log::admission::{Admitted, job_row};
use crate::log::claim::Claimed;
use crate::log::closing::Closing;
use crate::log::peers::Peer;
use crate::log::store::StoreError;
use crate::tools::Tool;

/// All open calls are looked at at least this often, whether there is a reason or not.
const POLL_INTERVAL: Duration = Duration::from_mins(1);

/// How many are settled at once, and how long one may take: what is written of one waits for nothing that another one waits for.
const MAX_CONCURRENT: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(20);

/// The row of a node that did not end in order is kept for so long, for whoever engages a switch to see.
const REMEMBERED: Duration = Duration::from_hours(1);

/// What need not be looked at again.
#[derive(Default)]
pub(super) struct Settled {
    /// When all open calls were last looked at, by `Clock::elapsed`.
    looked: Option<Duration>,
    /// Dead nodes that had no open call then.
    nodes: BTreeSet<NodeId>,
}

impl Worker {
    /// Does `work` with each beat. Apart from the beat, because it may take its time.
    pub(super) async fn repeat_until<F: Future<Output = ()>>(
        self: Arc<Self>,
        stop: CancellationToken,
        work: impl Fn(Arc<Self>) -> F,
    ) {
        loop {
            work(Arc::clone(&self)).await;
            if stop.run_until_cancelled(tokio::time::sleep(self.lease / 3)).await.is_none() {
                return;
            }
        }
    }

    /// Ends or takes over what dead nodes left open, and what this node has on record without running it.
    pub(super) async fn recover_all(self: &Arc<Self>) {
        // Without a lease this node may be the one that is dead to the others.
        if self.control.ports.fence().holds_lease()
            && let Err(error) = self.recover().await
        {
            tracing::error!(%error, "orphans cannot be looked up");
            self.settled().looked = None;
        }
    }

    async fn recover(self: &Arc<Self>) -> Result<(), StoreError> {
        let peers = self.peers().await?;
        self.sweep(&peers).await;
        if !self.has_reason(&peers) {
            return Ok(());
        }
        // Looked at before and after the rows are read: a call in hand at either time is not an orphan.
        let (before, node) = (self.control.in_flight.all(), &self.control.ports.node);
        let rows = self.control.ports.reader.store.state(&["job"]).await?;
        // After the calls: a node that has begun since then has none of them.
        let peers = self.peers().await?;
        let alive: BTreeSet<&NodeId> = peers.iter().filter(|peer| !peer.dead).map(|peer| &peer.node.id).collect();
        let running: Vec<Job> = self.invalid_rows.read(&rows).into_iter().filter(|job| job.status == Status::Running).collect();
        let owners: BTreeSet<NodeId> = running.iter().filter_map(|job| job.node.clone()).collect();
        let orphans = running.into_iter().filter(|job| {
            let owned = job.node.as_ref().is_some_and(|owner| owner != node && alive.contains(owner));
            !owned && !before.contains(&job.call) && !self.control.in_flight.holds(&job.call)
        });
        let all_settled = AtomicBool::new(true);
        let settle = |job: Job| {
            let all_settled = &all_settled;
            async move {
                if tokio::time::timeout(TIMEOUT, self.settle_orphan(&job)).await.is_err() {
                    // Whatever of it was written is looked at again.
                    self.control.in_flight.lose(&job.call);
                    all_settled.store(false, Ordering::Relaxed);
                    tracing::warn!(call_id = %job.call, "an orphan takes too long; the others go on");
                }
            }
        };
        futures::stream::iter(orphans).for_each_concurrent(MAX_CONCURRENT, settle).await;
        let without = peers.iter().filter(|peer| peer.dead && !owners.contains(&peer.node.id));
        let mut settled = self.settled();
        settled.looked = all_settled.into_inner().then(|| self.control.ports.clock.elapsed());
        settled.nodes = without.map(|peer| peer.node.id.clone()).collect();
        Ok(())
    }

    async fn settle_orphan(self: &Arc<Self>, job: &Job) {
        self.control.in_flight.take(&job.call);
        let (Some(chain), node) = (self.chain_of(job).await, &self.control.ports.node) else {
            return self.control.in_flight.release(&job.call);
        };
        // Its commit was reported lost and was not: nobody was ever given leave to start it. Of one that was taken over somebody
        // else was.
        if job.node.as_ref() == Some(node) && chain.ran_on.iter().all(|ran| ran == node) {
            self.control.ports.writer.stats().recovered.count("cancelled");
            return self.end(job, Outcome::Cancelled(Code::AuditUnavailable)).await;
        }
        self.adopt(job).await;
    }

    fn settled(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there may be an orphan: reading every open call at each beat would cost a busy log too much.
    fn has_reason(&self, peers: &[Peer]) -> bool {
        let doubt = self.control.in_flight.take_doubt();
        let settled = self.settled();
        let now = self.control.ports.clock.elapsed();
        let long_ago = settled.looked.is_none_or(|at| now.saturating_sub(at) >= POLL_INTERVAL);
        doubt || long_ago || peers.iter().any(|peer| peer.dead && !settled.nodes.contains(&peer.node.id))
    }

    /// Removes the rows of nodes that have ended and left nothing open.
    async fn sweep(&self, peers: &[Peer]) {
        let over =
            |peer: &&Peer| peer.dead && (peer.ended || peer.still > REMEMBERED) && self.settled().nodes.contains(&peer.node.id);
        let nodes: Vec<(NodeId, i64)> = peers.iter().filter(over).map(|peer| (peer.node.id.clone(), peer.node.beat)).collect();
        if nodes.is_empty() {
            return;
        }
        let written = self.control.ports.writer.forget_nodes(nodes);
        if let Err(error) = written.await {
            tracing::error!(%error, "rows of ended nodes could not be removed");
        }
    }

    /// An open call as its events make it, if its row says the same. The transaction that follows from it looks again.
    async fn chain_of(&self, job: &Job) -> Option<Chain> {
        let why = match self.control.ports.reader.chain(&job.call).await {
            Ok(Some(chain)) => match chain.fits(job, None) {
                Ok(()) => return Some(chain),
                Err(why) => why.to_string(),
            },
            Ok(None) => "there is no such call".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::error!(
            row = job_row(&job.call),
            why,
            "the row of an open call is not what the log says, and nothing follows from it"
        );
        self.invalid_rows.note(job);
        None
    }

    /// Of a call that is in hand.
    async fn adopt(self: &Arc<Self>, job: &Job) {
        let recovered = &self.control.ports.writer.stats().recovered;
        if let Some(first) = job.joins.clone() {
            recovered.count("joined");
            return self.control.end_joined(&job.call, &first, &job.tool, None);
        }
        if !job.idempotent {
            recovered.count("unknown");
            return self.end(job, Outcome::Unknown("the node that ran it is gone".into())).await;
        }
        let Some(tool) = self.control.catalogue.get(&job.tool) else { return self.control.in_flight.release(&job.call) };
        let (node, id) = (self.control.ports.node.clone(), self.control.ports.event_id());
        match self.control.ports.writer.take_over(job, tool.facts, node, id).await {
            Ok(Claimed::Admitted(admitted, job)) => {
                recovered.count("taken_over");
                self.resume(&job, tool, admitted).await;
            }
            Ok(Claimed::Unfit) => {
                self.control.in_flight.release(&job.call);
                self.invalid_rows.note(job);
            }
            Ok(Claimed::Cancelled | Claimed::Gone) => self.control.in_flight.release(&job.call),
            Err(error) => {
                self.control.in_flight.lose(&job.call);
                tracing::warn!(call_id = %job.call, %error, "an orphan could not be taken over");
            }
        }
    }

    /// Executes a claimed call from what the log has of it, after the policies were asked again.
    pub(super) async fn resume(self: &Arc<Self>, job: &Job, tool: &Tool, admitted: Admitted) {
        let Recorded { principal, args, .. } = match self.control.recorded_request(job).await {
            Ok(Some(found)) => found,
            Ok(None) => return self.end(job, Outcome::Unknown("its arguments are gone".into())).await,
            Err(error) => {
                tracing::error!(call_id = %job.call, %error, "an open call cannot be read back");
                return self.end(job, Outcome::Unknown("its arguments cannot be read back".into())).await;
            }
        };
        let args = match self.control.catalogue.read(tool, &args) {
            Ok(args) => args,
            // It was taken in by a version that read them otherwise.
            Err(refusal) => return self.end(job, Outcome::Failed(refusal)).await,
        };
        let state = self.control.ports.fence().state();
        let resources: Vec<Resource> = job.resources.iter().filter_map(|id| state.resource(id)).collect();
        let live = alive(&state, &job.credential, self.control.ports.clock.now()).is_ok();
        let verdict = self.control.verdict(&principal, Some(tool.facts), &resources);
        if !live || !verdict.permit || (verdict.hold.is_some() && !job.held) {
            let code = if live { Code::PolicyDenied } else { Code::TokenRevoked };
            return self.end(job, Outcome::Cancelled(code)).await;
        }
        let cancel = CancellationToken::new();
        let ports = Arc::clone(&self.control.ports);
        let calls = Arc::clone(&self.control) as Arc<dyn crate::tools::Calls>;
        let execution = crate::tools::Execution {
            admitted,
            tool: tool.facts,
            principal,
            args,
            resources,
            ports,
            cancel,
            progress: None,
            calls,
        };
        let done = self.control.waiting.take(&job.call);
        self.start(crate::control::Assignment { execution, done });
    }

    /// Ends a call that is in hand.
    pub(super) async fn end(&self, job: &Job, outcome: Outcome) {
        let Some(tool) = self.control.catalogue.get(&job.tool) else { return self.control.in_flight.release(&job.call) };
        let (node, id) = (self.control.ports.node.clone(), self.control.ports.event_id());
        let (closing, done) = (Closing::recovered(job, node, id), self.control.waiting.take(&job.call));
        self.control.finish((&job.account, tool), closing, outcome, done).await;
        if job.sealed {
            self.control.ports.forget_seal(&job.call).await;
        }
        self.control.in_flight.release(&job.call);
    }
}
