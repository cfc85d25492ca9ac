//! Waiting until no node can start what a switch covers any more, for as long as a person waits for an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::id::{Epoch, NodeId};
use crate::core::job::Node;
use crate::log::store::StoreError;
use crate::tools::Execution;

/// How long is waited.
const PATIENCE: Duration = Duration::from_secs(2);

/// How soon other nodes are looked at again; they confirm within milliseconds, or something holds them up.
const LOOK: [Duration; 2] = [Duration::from_millis(4), Duration::from_millis(50)];

/// Which nodes start nothing any more that was admitted before an epoch.
pub(in crate::tools) struct Fenced {
    confirmed: Vec<NodeId>,
    expired: Vec<NodeId>,
    waiting: Vec<NodeId>,
}

impl Fenced {
    /// Every node has confirmed, or its lease ran out.
    pub(in crate::tools) fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }

    /// As it is shown.
    pub(in crate::tools) fn nodes(&self) -> Value {
        json!({ "confirmed": self.confirmed, "expired": self.expired, "waiting": self.waiting })
    }
}

/// Asks the nodes that live now, until all have confirmed `epoch` or ended, or time is over.
pub(in crate::tools) async fn wait(execution: &Execution, epoch: Epoch) -> Result<Fenced, StoreError> {
    let (ports, own) = (&execution.ports, &execution.ports.node);
    let until = ports.clock.elapsed() + PATIENCE;
    let now = ports.clock.now();
    let others: Vec<NodeId> = nodes(execution)
        .await?
        .into_values()
        .filter(|node| node.id != *own && node.lease_until > now)
        .map(|node| node.id)
        .collect();
    let own_done = tokio::time::timeout(PATIENCE, ports.fence().drained(epoch)).await.is_ok();
    let [mut look, longest] = LOOK;
    loop {
        let mut fenced = sort(&nodes(execution).await?, &others, epoch, ports.clock.now());
        if own_done {
            fenced.confirmed.push(own.clone());
        } else {
            fenced.waiting.push(own.clone());
        }
        if fenced.is_complete() || ports.clock.elapsed() >= until {
            return Ok(fenced);
        }
        tokio::time::sleep(look).await;
        look = longest.min(look * 2);
    }
}

fn sort(rows: &BTreeMap<NodeId, Node>, others: &[NodeId], epoch: Epoch, now: crate::core::time::Micros) -> Fenced {
    let mut fenced = Fenced { confirmed: Vec::new(), expired: Vec::new(), waiting: Vec::new() };
    for id in others {
        match rows.get(id) {
            Some(node) if node.confirmed >= epoch => fenced.confirmed.push(id.clone()),
            Some(node) if node.lease_until > now => fenced.waiting.push(id.clone()),
            _ => fenced.expired.push(id.clone()),
        }
    }
    fenced
}

async fn nodes(execution: &Execution) -> Result<BTreeMap<NodeId, Node>, StoreError> {
    let rows = execution.ports.reader.store.state(&["node"]).await?;
    rows.iter()
        .map(|row| {
            let node: Node =
                serde_json::from_slice(&row.doc).map_err(|error| StoreError::Unreadable(format!("{}: {error}", row.name)))?;
            Ok((node.id.clone(), node))
        })
        .collect()
}
