//! What this node has seen of the others, by its own measure of time.
//!
//! INVARIANT: a node is believed dead only after its row has stood still, or was not there, for its whole lease while this node
//! watched, or if it is recorded that it ended: whoever edits or removes rows makes no node dead, and none that has confirmed
//! anything, since a row counts only with its signet. Nobody's wall clock is asked: two that differ by less than is tolerated would
//! make a node dead to another while it still starts things (P3, P4).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::store::{StateRow, Store, StoreError};
use crate::core::event::{Event, EventKind};
use crate::core::id::{Epoch, NodeId, Position};
use crate::core::job::Node;
use crate::core::root::RootKey;
use crate::core::time::{Clock, Micros};

/// What this node has seen of every node that has a row.
pub struct Peers {
    clock: Arc<dyn Clock>,
    /// What rows are signed with.
    key: RootKey,
    /// This node, which is none of the others.
    own: OnceLock<NodeId>,
    seen: Mutex<BTreeMap<NodeId, Sighting>>,
}

/// A beat, and when it was first seen.
#[derive(Clone)]
struct Sighting {
    node: Node,
    since: Duration,
    moved: bool,
    /// It is recorded that it ended.
    ended: bool,
}

impl Sighting {
    fn peer(&self, asked: Duration) -> Peer {
        let still = asked.saturating_sub(self.since);
        let dead = self.ended || still >= Duration::from_millis(self.node.lease_ms);
        Peer { node: self.node.clone(), dead, ended: self.ended, still, moved: self.moved }
    }
}

/// A node as another one sees it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its row.
    pub node: Node,
    /// It starts nothing any more that it was given leave for until now.
    pub dead: bool,
    /// It has ended in order.
    pub ended: bool,
    /// How long its row has stood still.
    pub still: Duration,
    /// Its row was seen to move.
    pub moved: bool,
}

impl Peers {
    pub(super) fn new(clock: Arc<dyn Clock>, key: RootKey) -> Self {
        Self { clock, key, own: OnceLock::new(), seen: Mutex::default() }
    }

    /// A node's row as it may be stored.
    pub fn signed(&self, node: Node) -> Result<Node, StoreError> {
        node.signed(&self.key).map_err(|error| StoreError::Unreadable(error.to_string()))
    }

    /// Whether a node of this log has written the row.
    #[must_use]
    pub fn is_own(&self, node: &Node) -> bool {
        node.is_signed(&self.key)
    }

    /// What is wrong with the rows of nodes, for whoever looks from outside.
    pub async fn invalid_rows(&self, store: &dyn Store) -> Result<Vec<String>, StoreError> {
        let rows = store.state(&["node"]).await?;
        let crowd = (rows.len() >= MAX_COUNT)
            .then(|| format!("there are {MAX_COUNT} rows of nodes or more, so that no switch is fenced"));
        let strange = |row: &StateRow| self.read(row).err().map(|why| format!("the row {} is none of a node's: {why}", row.name));
        Ok(crowd.into_iter().chain(rows.iter().filter_map(strange).take(MAX_NAMED)).collect())
    }

    /// A row of a node; why it is none, if it is not.
    fn read(&self, row: &StateRow) -> Result<Node, String> {
        let node: Node = serde_json::from_slice(&row.doc).map_err(|error| error.to_string())?;
        if node_row(&node.id) != row.name || !node.is_signed(&self.key) {
            return Err("no node of this log has written it".to_owned());
        }
        // Nobody waits for longer than a node can have been given.
        Ok(Node { lease_ms: node.lease_ms.min(LONGEST_MS), ..node })
    }

    /// Reads the nodes' rows, takes note of them, and says how they stand: also those whose rows are gone, until their leases are.
    pub async fn observe(&self, store: &dyn Store) -> Result<Vec<Peer>, StoreError> {
        let asked = self.clock.elapsed();
        self.watch(&store.state(&["node"]).await?)?;
        for (node, at) in self.claimed() {
            if is_recorded(store, &node, at).await? {
                self.seen().entry(node).and_modify(|sighting| sighting.ended = true);
            }
        }
        Ok(self.seen().values().map(|sighting| sighting.peer(asked)).collect())
    }

    /// The nodes whose rows say that they ended, of which that is not known yet.
    fn claimed(&self) -> Vec<(NodeId, Position)> {
        let seen = self.seen();
        let claimed = seen.values().filter(|sighting| !sighting.ended);
        claimed.filter_map(|sighting| Some((sighting.node.id.clone(), sighting.node.ended?))).collect()
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<NodeId, Sighting>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which node this is.
    pub fn are_beside(&self, own: &NodeId) {
        let _ = self.own.set(own.clone());
    }

    /// How all others stand whose rows are among `rows`, which were read after `asked` by [`Clock::elapsed`].
    pub(super) fn others(&self, asked: Duration, rows: &[StateRow]) -> Result<Vec<Peer>, StoreError> {
        let rows: Vec<StateRow> = rows.iter().filter(|row| row.name.starts_with(NODE)).cloned().collect();
        let there = self.watch(&rows)?;
        let seen = self.seen();
        let others = there.iter().filter(|id| Some(*id) != self.own.get());
        Ok(others.filter_map(|id| seen.get(id)).map(|sighting| sighting.peer(asked)).collect())
    }

    /// Takes note of rows that were read, and says of which nodes they are.
    fn watch(&self, rows: &[StateRow]) -> Result<Vec<NodeId>, StoreError> {
        if rows.len() >= MAX_COUNT {
            return Err(StoreError::Unreadable(format!("{MAX_COUNT} rows of nodes or more")));
        }
        let nodes: Vec<Node> = rows.iter().filter_map(|row| self.read(row).ok()).collect();
        // What no node has written says nothing of the others, and of one only that there may be one.
        let is_read = |id: &NodeId| nodes.iter().any(|node| node.id == *id);
        let strange: Vec<NodeId> = rows.iter().filter_map(named).filter(|id| !is_read(id)).collect();
        // A row may have been written at any time until now, and says nothing of later than when it was asked for.
        let now = self.clock.elapsed();
        let mut seen = self.seen();
        // One whose row was taken away may live.
        seen.retain(|id, sighting| is_read(id) || strange.contains(id) || !sighting.peer(now).dead);
        let there = nodes.iter().map(|node| &node.id).chain(&strange).cloned().collect();
        for id in strange {
            let fresh = || Sighting { node: unknown(id.clone()), since: now, moved: false, ended: false };
            seen.entry(id.clone()).or_insert_with(fresh);
        }
        for node in nodes {
            let fresh = Sighting { node: node.clone(), since: now, moved: false, ended: false };
            let sighting = seen.entry(node.id.clone()).or_insert(fresh);
            if sighting.node.beat != node.beat {
                (sighting.since, sighting.moved) = (now, true);
            }
            sighting.node = node;
        }
        Ok(there)
    }
}

/// Whether the event at that position says that the node ended. Whoever writes rows makes no such event: it would carry a root.
async fn is_recorded(store: &dyn Store, node: &NodeId, at: Position) -> Result<bool, StoreError> {
    let rows = store.events(Position(at.0.saturating_sub(1)), 1).await?;
    let event = rows.first().filter(|row| row.position == at).and_then(|row| Event::decode(&row.leaf).ok());
    Ok(event.is_some_and(|event| matches!(event.kind, EventKind::NodeStopped { node: ended } if ended == *node)))
}

/// The node that a row is of by its name.
fn named(row: &StateRow) -> Option<NodeId> {
    row.name.strip_prefix(NODE)?.parse().ok()
}

/// A node of which nothing is known but its name.
fn unknown(id: NodeId) -> Node {
    Node {
        id,
        beat: 0,
        at: Micros(0),
        unsure: true,
        clock: Micros(0),
        boot: None,
        up_us: 0,
        host: None,
        pid: None,
        lease_ms: LONGEST_MS,
        ended: None,
        confirmed: Epoch(0),
        confirmed_at: Micros(0),
        signet: String::new(),
    }
}

/// How many nodes there are fewer of: of more rows not all are read.
pub(super) const MAX_COUNT: usize = 1000;

/// How many rows that are none of a node's are named.
const MAX_NAMED: usize = 5;

/// The longest lease that a configuration takes.
const LONGEST_MS: u64 = 60_000;

/// What the names of nodes' rows begin with.
const NODE: &str = "node:";

/// Name of a node's row.
#[must_use]
pub fn node_row(node: &NodeId) -> String {
    format!("{NODE}{node}")
}
