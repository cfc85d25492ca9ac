//! Faults, one at a time, under load, on the real binary: what the database, the clients and the provider then say is
//! held against each other by a checker of its own ([`rules`], [`reach`]), which [`forged`] shows to find what it looks for.
//!
//! A run prints its seed; `FORELOG_FAULT_SEED` repeats what the clients and the faults throw with it.

mod cluster;
mod evidence;
mod forged;
mod history;
mod load;
mod reach;
mod rules;

use std::time::Duration;

use forelog::ambient::OsEntropy;
use forelog::core::time::Entropy;

use self::cluster::Cluster;

fn seed() -> u64 {
    if let Some(given) = crate::tools::in_environment("FORELOG_FAULT_SEED") {
        return given.parse().expect("a number");
    }
    let mut bytes = [0; 8];
    OsEntropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Rounds of SIGKILL at a random moment, of a random node.
const ROUNDS: usize = 8;

async fn killed_at_random(mut cluster: Cluster) {
    cluster
        .under_load(6, async |cluster| {
            for _ in 0..ROUNDS {
                tokio::time::sleep(Duration::from_millis(100 + cluster.load.dice.below(900))).await;
                let count = cluster.len() as u64;
                let node = usize::try_from(cluster.load.dice.below(count)).expect("a node");
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
    killed_at_random(Cluster::start(None, 1, seed(), "").await).await;
}

#[tokio::test]
async fn faults_sqlite_two_nodes_killed_at_random() {
    killed_at_random(Cluster::start(None, 2, seed(), "").await).await;
}

#[tokio::test]
async fn faults_postgres_killed_at_random() {
    let server = crate::postgres::Cluster::start().await;
    killed_at_random(Cluster::start(Some(server.fresh_database().await), 3, seed(), "").await).await;
}
