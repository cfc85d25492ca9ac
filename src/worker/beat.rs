//! The beat: lease and fence confirmation, and everything that is due.
//!
//! INVARIANT: the lease is counted from before the beat was written, so the node stops starting things before others
//! may believe it dead. What a beat confirms was so when its transaction ran.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::core::commands::switch::expired;
use crate::core::id::{EventId, NodeId, Position};
use crate::core::job::Node;
use crate::core::time::{Clock, Micros};
use crate::log::draft::{Draft, NewEvent};
use crate::log::fence::Fence;
use crate::log::peers::{Peer, Peers, node_row};
use crate::log::rehearsal::{PROBE, PROBED};
use crate::log::store::{StoreError, Want};
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
        while let Some(told) = stop.run_until_cancelled(ports.reader.store.told()).await {
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
        let (fence, node, lease) = (Arc::clone(ports.fence()), ports.node.clone(), self.lease);
        let (clock, entropy, host) = (Arc::clone(&ports.clock), Arc::clone(&ports.entropy), self.host.clone());
        let want = Want { names: vec![node_row(&node)], kinds: vec!["run"], ..Want::default() };
        ports
            .writer
            .write_first(want, move |draft| {
                let mut ids = || EventId::new(clock.now(), &*entropy);
                put_node(draft, (node.clone(), host.clone()), &fence, (lease, &*clock))?;
                draft.close_runs(recovering, &mut ids)?;
                expire_switches(draft, &mut ids)
            })
            .await?;
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
        let probe = |draft: &mut Draft| draft.put(PROBE, &"0".repeat(PROBED));
        self.control.ports.writer.write_first(Want::default(), probe).await?;
        stats.can_record.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Looks at the nodes' rows, and says how they stand.
    pub(super) async fn peers(&self) -> Result<Vec<Peer>, StoreError> {
        let ports = &self.control.ports;
        ports.fence().peers().look(&*ports.reader.store).await
    }
}

fn put_node(
    draft: &mut Draft,
    (id, host): (NodeId, Option<String>),
    fence: &Fence,
    (lease, clock): (Duration, &dyn Clock),
) -> Result<(), StoreError> {
    let name = node_row(&id);
    // A row that cannot be read, or is not ours, is written anew.
    let last = draft.get::<Node>(&name).ok().flatten().filter(|row| fence.peers().is_own(row));
    let (beat, told, told_at) = last.map_or((0, None, Micros(0)), |row| (row.beat, Some(row.confirmed), row.confirmed_at));
    let confirmed = fence.confirmed();
    let confirmed_at = if told == Some(confirmed) { told_at } else { draft.now };
    let (boot, up_us) = clock.boot().map_or((None, 0), |boot| (Some(boot.id.to_string()), whole(boot.up.as_micros())));
    let row = Node {
        id,
        beat: beat.wrapping_add(1),
        at: draft.at,
        unsure: draft.skewed,
        clock: clock.now(),
        boot,
        up_us,
        host,
        pid: Some(std::process::id()),
        lease_ms: whole(lease.as_millis()),
        ended: None,
        confirmed,
        confirmed_at,
        signet: String::new(),
    };
    draft.put(&name, &fence.peers().signed(row)?)
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Says in a node's row that it has ended in order, and where that is recorded.
pub fn put_ended(draft: &mut Draft, peers: &Peers, id: &NodeId, at: Position) -> Result<(), StoreError> {
    let name = node_row(id);
    let Some(row) = draft.get::<Node>(&name).ok().flatten().filter(|row| peers.is_own(row)) else { return Ok(()) };
    draft.put(&name, &peers.signed(Node { ended: Some(at), ..row })?)
}

fn expire_switches(draft: &mut Draft, ids: &mut dyn FnMut() -> EventId) -> Result<(), StoreError> {
    // By a time that may be wrong nothing ends: what is over stops nobody meanwhile.
    if draft.skewed {
        return Ok(());
    }
    for kind in expired(draft.state(), draft.now) {
        draft.append(Position(0), NewEvent::plain(ids(), kind))?;
    }
    Ok(())
}
