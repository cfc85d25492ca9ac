//! Providers that answer late, twice, or never; that lose what they are told, or what they have to say.

use std::time::Duration;

use super::cluster::{Cluster, Setting, until};
use crate::postgres;

const MISBEHAVES: &str = "faults = [
    { fault = 'late_answer', every = 5, ms = 600 },
    { fault = 'late_request', every = 7, ms = 400 },
    { fault = 'lost_answer', every = 6 },
    { fault = 'lost_request', every = 9 },
    { fault = 'twice', every = 2 },
]
";

async fn misbehaving(setting: Setting) {
    let mut cluster = Cluster::start(Setting { provider: MISBEHAVES, ..setting }).await;
    cluster.under_load(6, async |_| tokio::time::sleep(Duration::from_secs(6)).await).await;
    let history = cluster.check().await;
    let noted = |happened: bool| {
        let told = history.entries.iter().filter(|entry| entry.kind == "reconciled");
        told.filter(|entry| entry.leaf["happened"] == happened).count()
    };
    assert!(noted(true) > 0, "answers that were lost were looked up");
    assert!(noted(false) > 0, "requests that were lost were looked up");
}

#[tokio::test]
async fn faults_sqlite_provider_misbehaves() {
    misbehaving(Setting::files(1)).await;
}

#[tokio::test]
async fn faults_postgres_provider_misbehaves() {
    let server = postgres::Cluster::start().await;
    misbehaving(Setting::postgres(&server).await).await;
}

/// Calls that are never answered stay open until their node dies; then the provider is asked, by whoever is left.
async fn never_answering(setting: Setting) {
    let provider = "faults = [{ fault = 'no_answer', every = 4 }]\n";
    let mut cluster = Cluster::start(Setting { provider, ..setting }).await;
    let others_go_on = cluster.len() > 1;
    cluster
        .under_load(6, async |cluster| {
            let evidence = cluster.evidence.clone();
            for node in 0..cluster.len() {
                let id = cluster.id(node).to_owned();
                tokio::time::sleep(Duration::from_secs(1)).await;
                until("somebody waits for an answer that never comes", async || evidence.open_at(&id).await > 0).await;
                cluster.kill(node);
                if others_go_on {
                    until("what was left open is taken over", async || evidence.open_at(&id).await == 0).await;
                }
                cluster.mend_provider(provider);
                cluster.launch(node).await;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        })
        .await;
    cluster.check().await;
}

#[tokio::test]
async fn faults_sqlite_provider_never_answers() {
    never_answering(Setting::files(1)).await;
}

#[tokio::test]
async fn faults_postgres_provider_never_answers() {
    let server = postgres::Cluster::start().await;
    never_answering(Setting::postgres(&server).await).await;
}
