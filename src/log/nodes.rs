//! What nodes write of themselves: the beat that renews a lease and confirms the fence, and their beginning and end.
//!
//! INVARIANT: what a beat confirms was so when its transaction ran.

use std::sync::Arc;
use std::time::Duration;

use super::draft::{Draft, NewEvent};
use super::fence::Fence;
use super::peers::node_row;
use super::rehearsal::{PROBE, PROBED};
use super::store::{StoreError, Want};
use super::writer::{WriteError, Writer};
use crate::core::commands::switch::expired;
use crate::core::event::EventKind;
use crate::core::id::{EventId, NodeId, Position};
use crate::core::job::Node;
use crate::core::time::{Clock, Entropy, Micros};

/// A node that beats.
pub struct Beat {
    /// Which one.
    pub node: NodeId,
    /// The machine's name.
    pub host: Option<String>,
    /// How long it may start things from now on.
    pub lease: Duration,
    /// It has just begun, so every run of refusals that is open was left by another process.
    pub recovering: bool,
    /// The machine's clock.
    pub clock: Arc<dyn Clock>,
    /// For ids.
    pub entropy: Arc<dyn Entropy>,
}

impl Writer {
    /// Appends an event for which nothing has to be looked at.
    pub async fn append(&self, event: NewEvent) -> Result<Position, WriteError> {
        self.write(Want::default(), move |draft| draft.append(Position(0), event.clone())).await
    }

    /// Renews a node's lease, confirms the fence, closes runs of refusals and expires switches, in one transaction.
    pub async fn beat(&self, beat: Beat) -> Result<(), WriteError> {
        let (want, fence) = (Want { names: vec![node_row(&beat.node)], kinds: vec!["run"], ..Want::default() }, self.fence());
        let fence = Arc::clone(fence);
        self.write_first(want, move |draft| {
            let mut ids = || EventId::new(beat.clock.now(), &*beat.entropy);
            draft.put_node(&beat, &fence)?;
            draft.close_runs(beat.recovering, &mut ids)?;
            draft.expire_switches(&mut ids)
        })
        .await
    }

    /// Writes as much as a call does: a full disk shows in nothing less.
    pub async fn probe(&self) -> Result<(), WriteError> {
        self.write_first(Want::default(), |draft| draft.put(PROBE, &"0".repeat(PROBED))).await
    }

    /// Removes the rows of nodes that still stand at these beats.
    pub async fn forget_nodes(&self, nodes: Vec<(NodeId, i64)>) -> Result<(), WriteError> {
        let want = Want { names: nodes.iter().map(|(node, _)| node_row(node)).collect(), ..Want::default() };
        self.write(want, move |draft| {
            // What they said of the time may be all that says it here.
            if draft.skewed {
                return Ok(());
            }
            for (node, beat) in &nodes {
                // It may have come back meanwhile.
                if draft.get::<Node>(&node_row(node))?.is_some_and(|node| node.beat == *beat) {
                    draft.delete(&node_row(node));
                }
            }
            Ok(())
        })
        .await
    }

    /// Appends that this node has stopped. With its row, so that the others need not wait for its lease to run out; unless a
    /// request is still being sent, which the process may do to its last moment. Then the row stays, and who asks is told that the
    /// node expired, not that it stopped.
    pub async fn end_node(&self, node: NodeId, id: EventId) -> Result<(), WriteError> {
        let (want, fence) = (Want { names: vec![node_row(&node)], ..Want::default() }, Arc::clone(self.fence()));
        self.write(want, move |draft| {
            let at = draft.append(Position(0), NewEvent::plain(id.clone(), EventKind::NodeStopped { node: node.clone() }))?;
            if fence.is_idle() { draft.put_ended(&fence, &node, at) } else { Ok(()) }
        })
        .await
    }
}

impl Draft {
    fn put_node(&mut self, beat: &Beat, fence: &Fence) -> Result<(), StoreError> {
        let name = node_row(&beat.node);
        // A row that cannot be read, or is not ours, is written anew.
        let last = self.get::<Node>(&name).ok().flatten().filter(|row| fence.peers().is_own(row));
        let (count, told, told_at) = last.map_or((0, None, Micros(0)), |row| (row.beat, Some(row.confirmed), row.confirmed_at));
        let confirmed = fence.confirmed();
        let boot = beat.clock.boot();
        let row = Node {
            id: beat.node.clone(),
            beat: count.wrapping_add(1),
            at: self.at,
            unsure: self.skewed,
            clock: beat.clock.now(),
            up_us: boot.as_ref().map_or(0, |boot| whole(boot.up.as_micros())),
            boot: boot.map(|boot| boot.id.to_string()),
            host: beat.host.clone(),
            pid: Some(std::process::id()),
            lease_ms: whole(beat.lease.as_millis()),
            ended: None,
            confirmed,
            confirmed_at: if told == Some(confirmed) { told_at } else { self.now },
            signet: String::new(),
        };
        self.put(&name, &fence.peers().signed(row)?)
    }

    /// Says in a node's row that it has ended in order, and where that is recorded.
    fn put_ended(&mut self, fence: &Fence, id: &NodeId, at: Position) -> Result<(), StoreError> {
        let (name, peers) = (node_row(id), fence.peers());
        let Some(row) = self.get::<Node>(&name).ok().flatten().filter(|row| peers.is_own(row)) else { return Ok(()) };
        self.put(&name, &peers.signed(Node { ended: Some(at), ..row })?)
    }

    fn expire_switches(&mut self, ids: &mut dyn FnMut() -> EventId) -> Result<(), StoreError> {
        // By a time that may be wrong nothing ends: what is over stops nobody meanwhile.
        if self.skewed {
            return Ok(());
        }
        for kind in expired(self.state(), self.now) {
            self.append(Position(0), NewEvent::plain(ids(), kind))?;
        }
        Ok(())
    }
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
