//! Disks that are full, and disks that fail, beneath processes that run: the kernel is told to answer so. With files the
//! process is the node; with PostgreSQL it is the server, which gives up when its own log cannot be written, and recovers.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::cluster::{Cluster, Setting, until};
use crate::postgres;

/// Runs the node so that a quota that is used up is an error and not a signal, as on a full disk.
const NO_SIGNAL: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";

/// No file of that process may grow beyond `bytes` from now on.
fn limit_files(process: u32, bytes: &str) {
    limit_files_as(&[], process, bytes);
}

/// The same, asked by way of a command. A process that has just ended needs no limit.
fn limit_files_as(account: &[String], process: u32, bytes: &str) {
    let words = ["prlimit", &format!("--pid={process}"), &format!("--fsize={bytes}")].map(str::to_owned);
    let words = [account, &words].concat();
    let limited = Command::new(&words[0]).args(&words[1..]).output().expect("run prlimit");
    let ended = || !Path::new(&format!("/proc/{process}")).exists();
    assert!(limited.status.success() || ended(), "limit process {process}: {limited:?}");
}

#[tokio::test]
async fn faults_sqlite_full_disk() {
    let mut cluster = Cluster::start(Setting::files(1)).await;
    cluster.stop(0).await;
    cluster.launch_under(0, NO_SIGNAL).await;
    cluster
        .under_load(6, async |cluster| {
            for room in [40_000, 90_000] {
                let size = std::fs::metadata(cluster.evidence.data.join("log.db-wal")).expect("the log").len();
                limit_files(cluster.pid(0), &format!("{}:unlimited", size + room));
                let load = cluster.load.clone();
                until("the disk is full", async || load.refusals("audit_unavailable") > 0).await;
                tokio::time::sleep(Duration::from_millis(cluster.load.dice.below(300))).await;
                if room == 90_000 {
                    cluster.kill(0);
                    cluster.launch(0).await;
                } else {
                    limit_files(cluster.pid(0), "unlimited:unlimited");
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        })
        .await;
    cluster.check().await;
}

/// No file of the server may grow beyond `bytes`; what it starts from now on is under the same limit.
fn limit_server(server: &postgres::Cluster, bytes: &str) {
    for process in server.processes() {
        limit_files_as(&postgres::unprivileged(), process, bytes);
    }
}

/// First there is no room in the server's own log, which fails the server and each of its attempts to recover, until
/// somebody makes room and starts it. Then there is none in a table, which fails transactions and nothing else.
#[tokio::test]
async fn faults_postgres_full_disk() {
    let server = postgres::Cluster::start().await;
    let mut cluster = Cluster::start(Setting::postgres(&server).await).await;
    cluster
        .under_load(6, async |cluster| {
            let (load, evidence) = (cluster.load.clone(), cluster.evidence.clone());
            let refused = || load.refusals("audit_unavailable");
            let before = refused();
            limit_server(&server, &format!("{}:unlimited", postgres::LOG_FILE / 4));
            until("the server gives up", async || server.said("PANIC:") > 0).await;
            until("nothing can be recorded", async || refused() > before).await;
            let node = cluster.any();
            cluster.kill(node);
            // In order it would not end before it has written what there is no room for.
            server.crash();
            server.start_again().await;
            cluster.launch(node).await;

            let length = async || {
                let rows = evidence.rows("log", "select pg_relation_size('event') as length").await;
                rows[0]["length"].as_u64().expect("a length")
            };
            until("the events are longer than a file of the log", async || length().await > postgres::LOG_FILE).await;
            let (before, panics) = (refused(), server.said("PANIC:"));
            limit_server(&server, &format!("{}:unlimited", length().await + 40_000));
            until("there is no room for events", async || refused() > before).await;
            tokio::time::sleep(Duration::from_millis(load.dice.below(500))).await;
            limit_server(&server, "unlimited:unlimited");
            assert_eq!(server.said("PANIC:"), panics, "the server lived");
            tokio::time::sleep(Duration::from_millis(500)).await;
        })
        .await;
    cluster.check().await;
}

/// Makes some calls of processes to the kernel fail, from outside.
struct Injector(Child);

impl Injector {
    /// Some syncs of a node, in whichever thread.
    fn syncs(node: u32, report: &Path) -> Self {
        Self::start(&["-f", &format!("--attach={node}")], "fsync,fdatasync", "2+3", report)
    }

    /// One kind of call of every process that the server has now, each from its `first` one on. What the server starts
    /// afterwards is spared, so it recovers.
    fn server(server: &postgres::Cluster, call: &str, first: u64, report: &Path) -> Self {
        let processes: Vec<String> = server.processes().iter().map(|id| format!("--attach={id}")).collect();
        let processes: Vec<&str> = processes.iter().map(String::as_str).collect();
        Self::start(&processes, call, &format!("{first}+"), report)
    }

    fn start(processes: &[&str], calls: &str, when: &str, report: &Path) -> Self {
        let strace = Command::new("strace")
            .args(["-q", "-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:error=EIO:when={when}"), "-o"])
            .arg(report)
            .args(processes)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(strace.expect("run strace"))
    }

    fn stop(mut self) {
        let asked = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().expect("run kill");
        assert!(asked.success(), "strace ended by itself");
        self.0.wait().expect("strace lets go");
    }
}

#[tokio::test]
async fn faults_sqlite_disk_errors() {
    let mut cluster = Cluster::start(Setting::files(2)).await;
    let report = cluster.evidence.data.join("strace.log");
    cluster
        .under_load(6, async |cluster| {
            for round in 0..4 {
                let node = cluster.any();
                let injector = Injector::syncs(cluster.pid(node), &report);
                let injected = || std::fs::read_to_string(&report).unwrap_or_default().matches("(INJECTED)").count();
                until("syncs failed", async || injected() >= 3).await;
                injector.stop();
                // What was written and not synced is there after a crash, or is not: nobody may have been told.
                if round % 2 == 0 {
                    cluster.kill(node);
                    cluster.launch(node).await;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        })
        .await;
    cluster.check().await;
}

/// What could not be synced is in the server's log after its recovery, although nobody was told; what could not be written
/// is not.
#[tokio::test]
async fn faults_postgres_disk_errors() {
    let server = postgres::Cluster::start().await;
    let mut cluster = Cluster::start(Setting::postgres(&server).await).await;
    let report = cluster.evidence.data.join("strace.log");
    cluster
        .under_load(6, async |cluster| {
            for (round, call) in ["fdatasync", "pwrite64", "fdatasync", "pwrite64"].into_iter().enumerate() {
                let (load, node) = (cluster.load.clone(), cluster.any());
                let ready = server.said("ready to accept connections");
                let injector = Injector::server(&server, call, 1 + load.dice.below(20), &report);
                until("the server gives up and recovers", async || server.said("ready to accept connections") > ready).await;
                injector.stop();
                assert!(server.said("PANIC:") > round, "it did not go on with what it could not write");
                // Whoever called meanwhile was refused, or told what the log had of it once it answered.
                let answered = load.answers();
                until("calls are answered again", async || load.answers() > answered).await;
                if round % 2 == 0 {
                    cluster.kill(node);
                    cluster.launch(node).await;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        })
        .await;
    cluster.check().await;
}
