//! What a cluster begins with: its configuration, and the data of a demonstration.
//!
//! INVARIANT: the demonstration has ended when its document is given.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::cluster::{LEASE, LIMITS, TIMEOUT};

pub(super) fn configuration(database: Option<&str>, extra: &str) -> String {
    let url = database.map(|url| format!("database_url = \"{url}\"\n")).unwrap_or_default();
    let limits: Vec<String> =
        LIMITS.iter().map(|(kind, admit, ms)| format!("{kind} = {{ admit = {admit}, window_ms = {ms} }}\n")).collect();
    let lease = LEASE.as_millis();
    format!(
        "{url}lease_ms = {lease}\ninstant_wait_ms = 5000\n[limits]\n{}[throttle]\nper_second = 100000\nburst = 100000\n\
         [providers.sim]\nmachines = [\"web-1\", \"db-1\", \"worker-1\"]\n{extra}",
        limits.concat()
    )
}

/// Accounts, keys and VMs, made as a demonstration makes them.
pub(super) async fn seed_data(data: &Path) -> Value {
    let log = File::options().append(true).create(true).open(data.join("demo.log")).expect("a log file");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_forelog"))
        .args(["demo", "--json", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("share the log file"))
        .stderr(log)
        .spawn()
        .expect("start the demonstration");
    let described = async {
        loop {
            let ended = demo.try_wait().expect("ask for the process");
            let said = || std::fs::read_to_string(data.join("demo.log")).unwrap_or_default();
            assert!(ended.is_none(), "the demonstration ended: {}", said());
            if let Ok(bytes) = std::fs::read(data.join("demo.json")) {
                return serde_json::from_slice(&bytes).expect("demo.json");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let document = tokio::time::timeout(TIMEOUT, described).await;
    let asked = Command::new("kill").arg(demo.id().to_string()).status().expect("run kill");
    demo.wait().expect("the demonstration ends");
    assert!(asked.success(), "the demonstration was asked to end");
    document.expect("the demonstration describes itself")
}
