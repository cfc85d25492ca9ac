//! Waiting until no node can start what a switch covers any more, for as long as a person waits for an answer.
//!
//! INVARIANT: a node is `confirmed` only by what it wrote itself, and `expired` only by what this node has watched. A node
//! that expired and only froze sends, when it wakes, what it was about to send; SECURITY.md says so.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::core::id::{Epoch, NodeId};
use crate::core::time::Micros;
use crate::log::peers::Peer;
use crate::log::store::StoreError;
use crate::tools::Execution;
use crate::tools::instant::Instant;

/// How long is waited beyond the longest lease, and at most.
const TIMEOUT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(10);

/// How soon other nodes are looked at again; they confirm within milliseconds, or something holds them up.
const POLL_INTERVAL: [Duration; 2] = [Duration::from_millis(4), Duration::from_millis(50)];

/// How one node stands to an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It starts nothing any more that was admitted before, as it wrote at this time.
    Confirmed(Micros),
    /// Its lease ran out, or it has stopped.
    Expired,
    /// It has not confirmed yet.
    Waiting,
}

/// Which nodes start nothing any more that was admitted before an epoch.
pub(in crate::tools) struct Fenced(Vec<(NodeId, Standing)>);

impl Fenced {
    /// Every node has confirmed, or its lease ran out.
    pub(in crate::tools) fn is_complete(&self) -> bool {
        self.0.iter().all(|(_, standing)| *standing != Standing::Waiting)
    }

    /// As it is shown.
    pub(in crate::tools) fn nodes(&self) -> Vec<NodeStanding> {
        let shown = |(node, standing): &(NodeId, Standing)| {
            let (state, confirmed_at) = match standing {
                Standing::Confirmed(at) => (State::Confirmed, Some(Instant(*at))),
                Standing::Expired => (State::Expired, None),
                Standing::Waiting => (State::Waiting, None),
            };
            NodeStanding { node: node.clone(), state, confirmed_at }
        };
        self.0.iter().map(shown).collect()
    }
}

/// How one node stands, as it is shown.
#[derive(Serialize, JsonSchema)]
pub(in crate::tools) struct NodeStanding {
    /// The node.
    node: NodeId,
    /// It has confirmed; or its lease ran out; or it is still waited for.
    state: State,
    /// When it confirmed.
    confirmed_at: Option<Instant>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Confirmed,
    Expired,
    Waiting,
}

/// Asks every node, until all have confirmed `epoch` or their leases ran out, or time is over.
pub(in crate::tools) async fn wait(execution: &Execution, epoch: Epoch) -> Result<Fenced, StoreError> {
    let (ports, own) = (&execution.ports, &execution.ports.node);
    let begun = ports.clock.elapsed();
    let mut expired = BTreeSet::new();
    let mut confirmed = None;
    let [mut pause, longest] = POLL_INTERVAL;
    loop {
        if confirmed.is_none() && ports.fence().has_drained(epoch) {
            confirmed = Some(ports.clock.now());
        }
        let peers = ports.fence().peers().observe(&*ports.reader.store).await?;
        let head = ports.reader.store.head().await?.epoch;
        // Who comes back after it had expired knows the switch before it may start anything.
        expired.extend(peers.iter().filter(|peer| peer.dead).map(|peer| peer.node.id.clone()));
        let mut fenced = Fenced(vec![(own.clone(), confirmed.map_or(Standing::Waiting, Standing::Confirmed))]);
        // Who has ended in order cannot start anything, and is not worth telling.
        let others = peers.iter().filter(|peer| peer.node.id != *own && !peer.ended);
        fenced.0.extend(others.map(|peer| (peer.node.id.clone(), standing(peer, (epoch, head), &expired))));
        let lease = peers.iter().map(|peer| peer.node.lease_ms).max().map_or(Duration::ZERO, Duration::from_millis);
        let waited = ports.clock.elapsed().saturating_sub(begun);
        if fenced.is_complete() || waited >= (lease + TIMEOUT).min(MAX_WAIT) {
            return Ok(fenced);
        }
        tokio::time::sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}

fn standing(peer: &Peer, (epoch, head): (Epoch, Epoch), expired: &BTreeSet<NodeId>) -> Standing {
    // What no change has made yet nobody can have confirmed.
    if (epoch..=head).contains(&peer.node.confirmed) {
        return Standing::Confirmed(peer.node.confirmed_at);
    }
    if expired.contains(&peer.node.id) { Standing::Expired } else { Standing::Waiting }
}
