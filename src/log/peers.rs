//! What this node has seen of the others, by its own measure of time.
//!
//! INVARIANT: a node is believed dead only after its row has stood still for its whole lease while this node watched, or if
//! the row says that it stopped. Nobody's wall clock is asked: two that differ by less than is tolerated would make a node
//! dead to another while it still starts things (P3, P4).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::store::{StateRow, Store, StoreError};
use crate::core::id::NodeId;
use crate::core::job::Node;
use crate::core::time::Clock;

/// What this node has seen of every node that has a row.
pub struct Peers {
    clock: Arc<dyn Clock>,
    /// This node, which is none of the others.
    own: OnceLock<NodeId>,
    seen: Mutex<BTreeMap<NodeId, Sighting>>,
}

/// A beat, and when it was first seen.
#[derive(Clone, Copy)]
struct Sighting {
    beat: i64,
    since: Duration,
    moved: bool,
}

/// A node as another one sees it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its row.
    pub node: Node,
    /// It starts nothing any more that it was given leave for until now.
    pub dead: bool,
    /// How long its row has stood still.
    pub still: Duration,
    /// Its row was seen to move.
    pub moved: bool,
}

impl Peers {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, own: OnceLock::new(), seen: Mutex::default() }
    }

    /// Reads the nodes' rows, takes note of them, and says how they stand.
    pub async fn look(&self, store: &dyn Store) -> Result<Vec<Peer>, StoreError> {
        let asked = self.clock.elapsed();
        self.watch(asked, &store.state(&["node"]).await?)
    }

    /// Says which node this is.
    pub fn are_beside(&self, own: &NodeId) {
        let _ = self.own.set(own.clone());
    }

    /// How all others stand whose rows are among `rows`, which were read after `asked` by [`Clock::elapsed`].
    pub(super) fn others(&self, asked: Duration, rows: &[StateRow]) -> Result<Vec<Peer>, StoreError> {
        let rows: Vec<StateRow> = rows.iter().filter(|row| row.name.starts_with(NODE)).cloned().collect();
        let all = self.watch(asked, &rows)?;
        Ok(all.into_iter().filter(|peer| Some(&peer.node.id) != self.own.get()).collect())
    }

    /// Takes note of rows that were read after `asked` by [`Clock::elapsed`].
    fn watch(&self, asked: Duration, rows: &[StateRow]) -> Result<Vec<Peer>, StoreError> {
        let nodes: Vec<Node> = rows.iter().map(read).collect::<Result<_, _>>()?;
        // A row may have been written at any time until now, and says nothing of later than when it was asked for.
        let now = self.clock.elapsed();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|id, _| nodes.iter().any(|node| node.id == *id));
        let standing = |node: Node| {
            let sighting = seen.entry(node.id.clone()).or_insert(Sighting { beat: node.beat, since: now, moved: false });
            if sighting.beat != node.beat {
                *sighting = Sighting { beat: node.beat, since: now, moved: true };
            }
            let still = asked.saturating_sub(sighting.since);
            let dead = node.stopped || still >= Duration::from_millis(node.lease_ms);
            Peer { node, dead, still, moved: sighting.moved }
        };
        Ok(nodes.into_iter().map(standing).collect())
    }
}

fn read(row: &StateRow) -> Result<Node, StoreError> {
    let read = serde_json::from_slice(&row.doc).map_err(|error| StoreError::Unreadable(format!("{}: {error}", row.name)));
    // Nobody waits for longer than a node can have been given.
    read.map(|node: Node| Node { lease_ms: node.lease_ms.min(LONGEST_MS), ..node })
}

/// The longest lease that a configuration takes.
const LONGEST_MS: u64 = 60_000;

/// What the names of nodes' rows begin with.
const NODE: &str = "node:";

/// Name of a node's row.
#[must_use]
pub fn node_row(node: &NodeId) -> String {
    format!("{NODE}{node}")
}
