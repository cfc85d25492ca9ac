//! Disks that are full, and disks that fail, beneath processes that run: the kernel is told to answer so.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::cluster::{Cluster, Setting, until};

/// Runs the node so that a quota that is used up is an error and not a signal, as on a full disk.
const NO_SIGNAL: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";

/// No file of that process may grow beyond `bytes` from now on.
fn limit_files(process: u32, bytes: &str) {
    let limited = Command::new("prlimit").args([&format!("--pid={process}"), &format!("--fsize={bytes}")]).status();
    assert!(limited.expect("run prlimit").success(), "limit process {process}");
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

/// Makes some of the process's syncs fail, from outside.
struct Injector(Child);

impl Injector {
    fn start(process: u32, report: &std::path::Path) -> Self {
        let syncs = "fsync,fdatasync";
        let strace = Command::new("strace")
            .args(["-f", "-q", "-e", &format!("trace={syncs}"), "-e", &format!("inject={syncs}:error=EIO:when=2+3"), "-o"])
            .arg(report)
            .args(["-p", &process.to_string()])
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
                let injector = Injector::start(cluster.pid(node), &report);
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
