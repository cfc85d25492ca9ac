//! Databases that go away, and connections that are cut around a commit.

use std::time::Duration;

use super::cluster::{Cluster, LEASE, Setting, until};
use super::proxy::{Cut, Proxy};
use crate::postgres;
use crate::tools;

/// Commits that are cut.
const CUTS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_postgres_connections_cut_around_a_commit() {
    let server = postgres::Cluster::start().await;
    let proxy = Proxy::start(&server.socket()).await;
    let mut cluster = Cluster::start(Setting::postgres(&server).await.through(&proxy)).await;
    cluster
        .under_load(6, async |cluster| {
            for n in 0..CUTS {
                let room = if n % 8 < 6 { "log" } else { "views" };
                proxy.cut(if n % 2 == 0 { Cut::After } else { Cut::Before }, room);
                until("a commit is cut", async || proxy.done() > n).await;
                tokio::time::sleep(Duration::from_millis(30 + cluster.load.dice.below(200))).await;
            }
        })
        .await;
    let history = cluster.check().await;
    let lost = |code: &str| {
        let answers = history.sent.iter().filter_map(|sent| sent.answer.as_ref());
        answers.filter(|answer| answer.code.as_deref() == Some(code)).count()
    };
    assert!(lost("audit_unavailable") > 0, "whoever was in a batch that was cut was told so");
}

#[tokio::test]
async fn faults_postgres_stopped_crashed_and_halted() {
    let server = postgres::Cluster::start().await;
    let mut cluster = Cluster::start(Setting::postgres(&server).await).await;
    cluster
        .under_load(6, async |cluster| {
            for crashes in [false, true, false, true] {
                tokio::time::sleep(Duration::from_millis(300 + cluster.load.dice.below(500))).await;
                if crashes {
                    server.crash();
                } else {
                    server.stop();
                }
                for node in 0..cluster.len() {
                    let (address, load) = (cluster.address(node), &cluster.load);
                    let answer = load.call_at(&address, &load.customer, "vm_list", serde_json::json!({})).await;
                    assert_eq!(answer.map(|answer| answer.status), Some(503), "node {node} has no log to write to");
                }
                server.start_again().await;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            server.freeze();
            tokio::time::sleep(LEASE * 2).await;
            server.thaw();
            tokio::time::sleep(Duration::from_millis(500)).await;
        })
        .await;
    cluster.check().await;
}

/// Takes the write lock and keeps it until its input ends.
const HOLD: &str = r"
import sqlite3, sys
log = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
log.execute('begin immediate')
print('held', flush=True)
sys.stdin.read()
";

#[tokio::test]
async fn faults_sqlite_locked_by_another_process() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let mut cluster = Cluster::start(Setting::files(2)).await;
    cluster
        .under_load(6, async |cluster| {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut python = tokio::process::Command::new(tools::find("FORELOG_PYTHON"));
            python.args(["-c", HOLD]).arg(cluster.evidence.data.join("log.db")).kill_on_drop(true);
            python.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
            let mut holder = python.spawn().expect("run Python");
            let mut said = BufReader::new(holder.stdout.take().expect("a pipe")).lines();
            assert_eq!(said.next_line().await.expect("a line").as_deref(), Some("held"));
            let (address, load) = (cluster.address(0), &cluster.load);
            let answer = load.call_at(&address, &load.customer, "vm_list", serde_json::json!({})).await;
            assert_eq!(answer.map(|answer| answer.status), Some(503), "it does not wait for ever");
            drop(holder.stdin.take());
            holder.wait().await.expect("it ends");
            tokio::time::sleep(Duration::from_millis(500)).await;
        })
        .await;
    cluster.check().await;
}
