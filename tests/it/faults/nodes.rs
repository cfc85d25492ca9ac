//! Nodes that die, and nodes that only seem to.

use std::time::Duration;

use serde_json::json;

use super::cluster::{Cluster, LEASE, Setting, until};
use crate::postgres;

/// Rounds of SIGKILL at a random moment, of a random node.
const ROUNDS: usize = 8;

async fn killed_at_random(setting: Setting) {
    let mut cluster = Cluster::start(setting).await;
    cluster
        .under_load(6, async |cluster| {
            for _ in 0..ROUNDS {
                tokio::time::sleep(Duration::from_millis(100 + cluster.load.dice.below(900))).await;
                let node = cluster.any();
                cluster.kill(node);
                cluster.launch(node).await;
            }
        })
        .await;
    let history = cluster.check().await;
    assert!(history.effects.len() > ROUNDS, "the load was real: {} effects", history.effects.len());
}

#[tokio::test]
async fn faults_sqlite_killed_at_random() {
    killed_at_random(Setting::files(1)).await;
}

#[tokio::test]
async fn faults_sqlite_two_nodes_killed_at_random() {
    killed_at_random(Setting::files(2)).await;
}

#[tokio::test]
async fn faults_postgres_killed_at_random() {
    let server = postgres::Cluster::start().await;
    killed_at_random(Setting::postgres(&server).await).await;
}

/// A node that is frozen beyond its lease, with a command under way. If the others can go on without it, they take over
/// what it ran while it is still frozen; when it wakes it starts nothing, and what it has done is noted as late.
async fn frozen_and_woken(setting: Setting) {
    let others_go_on = setting.database.is_some();
    let mut cluster = Cluster::start(setting).await;
    let late = json!({ "vm_id": cluster.load.vms[0], "command": "sleep 2" });
    cluster
        .under_load(6, async |cluster| {
            for _ in 0..2 {
                let (node, load) = (cluster.any(), cluster.load.clone());
                let (address, args) = (cluster.address(node), late.clone());
                let calling = tokio::spawn(async move { load.call_at(&address, &load.customer, "vm_exec", args).await });
                tokio::time::sleep(Duration::from_millis(200 + cluster.load.dice.below(300))).await;
                cluster.signal(node, "STOP");
                tokio::time::sleep(LEASE * 2).await;
                if others_go_on {
                    let (evidence, id) = (cluster.evidence.clone(), cluster.id(node).to_owned());
                    until("what the frozen node ran is taken over", async || evidence.open_at(&id).await == 0).await;
                }
                cluster.signal(node, "CONT");
                calling.await.expect("the caller");
            }
        })
        .await;
    cluster.check().await;
}

#[tokio::test]
async fn faults_sqlite_a_frozen_node_wakes() {
    frozen_and_woken(Setting::files(2)).await;
}

#[tokio::test]
async fn faults_postgres_a_frozen_node_wakes() {
    let server = postgres::Cluster::start().await;
    frozen_and_woken(Setting::postgres(&server).await).await;
}
