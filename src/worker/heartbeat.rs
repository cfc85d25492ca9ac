//! The beat: lease and fence confirmation, and everything that is due.
//!
//! INVARIANT: the lease is counted from before the beat was written, so the node stops starting things before others
//! may believe it dead.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::log::nodes::Beat;
use crate::log::peers::Peer;
use crate::log::store::StoreError;
use crate::log::writer::WriteError;

/// One beat of so many probes although nothing has failed.
const PROBE_EVERY: u64 = 60;

/// How soon somebody who hears nothing tries again to listen.
const DEAF: Duration = Duration::from_secs(1);

impl Worker {
    /// Does nothing else: whatever takes long in here costs the lease.
    pub(super) async fn beat_until(self: Arc<Self>, over: CancellationToken) {
        loop {
            if let Err(error) = self.beat(false).await {
                tracing::error!(%error, "the node's lease could not be renewed");
            }
            if over.run_until_cancelled(tokio::time::sleep(self.lease / 3)).await.is_none() {
                return;
            }
        }
    }

    /// Looks at control state as soon as another node says that it changed. Not hearing it costs time until the next beat.
    pub(super) async fn hear_until(self: Arc<Self>, stop: CancellationToken) {
        let (ports, mut deaf) = (&self.control.ports, false);
        while let Some(told) = stop.run_until_cancelled(ports.reader.store.next_epoch()).await {
            match told {
                Ok(epoch) => {
                    deaf = false;
                    // Anybody can say so: what is true is in the head, which is read without its lock.
                    if epoch.is_none_or(|epoch| epoch > ports.fence().state().epoch) {
                        self.catch_up().await;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut deaf, true) {
                        tracing::warn!(%error, "other nodes are not heard; each beat looks instead");
                    }
                    let _ = stop.run_until_cancelled(tokio::time::sleep(DEAF)).await;
                }
            }
        }
    }

    /// Confirms the fence as soon as nothing is left that was entered before a change of switches: somebody waits for it.
    pub(super) async fn confirm_until(self: Arc<Self>, stop: CancellationToken) {
        let fence = self.control.ports.fence();
        let mut changes = fence.changes();
        let mut confirmed = changes.borrow_and_update().clone();
        while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
            let state = changes.borrow_and_update().clone();
            if state.switches == confirmed.switches {
                continue;
            }
            if stop.run_until_cancelled(fence.drained(state.epoch)).await.is_none() {
                return;
            }
            if let Err(error) = self.beat(false).await {
                tracing::error!(%error, "the fence was not confirmed; the next beat tries again");
            }
            confirmed = state;
        }
    }

    /// Renews the lease, confirms the fence, closes refusal runs and expires switches, in one transaction.
    pub async fn beat(&self, recovering: bool) -> Result<(), WriteError> {
        let ports = &self.control.ports;
        let since = ports.clock.elapsed();
        let beat = Beat {
            node: ports.node.clone(),
            host: self.host.clone(),
            lease: self.lease,
            recovering,
            clock: Arc::clone(&ports.clock),
            entropy: Arc::clone(&ports.entropy),
        };
        ports.writer.beat(beat).await?;
        ports.fence().renew(since, self.lease);
        self.probe().await?;
        if let Err(error) = self.peers().await {
            tracing::error!(%error, "the other nodes cannot be looked at");
        }
        Ok(())
    }

    /// Writes as much as a call does, at first, after a failure, and now and then: a full disk shows in nothing less.
    async fn probe(&self) -> Result<(), WriteError> {
        let stats = self.control.ports.writer.stats();
        let beats = self.beats.fetch_add(1, Ordering::Relaxed);
        if stats.can_record.load(Ordering::Relaxed) && !beats.is_multiple_of(PROBE_EVERY) {
            return Ok(());
        }
        self.control.ports.writer.probe().await?;
        stats.can_record.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Looks at the nodes' rows, and says how they stand.
    pub(super) async fn peers(&self) -> Result<Vec<Peer>, StoreError> {
        let ports = &self.control.ports;
        ports.fence().peers().observe(&*ports.reader.store).await
    }
}
