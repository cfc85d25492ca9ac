//! The MCP conformance suite against the real binary, behind a proxy that adds the key which the suite cannot send.
//!
//! The counts are part of the test: a suite that ran less than it should has not passed.

use crate::demo::Demo;
use crate::inject::Proxy;
use crate::tools;
use std::process::Output;
use std::time::Duration;
use tokio::process::Command;

const TIMEOUT: Duration = Duration::from_secs(150);

/// What a whole run comes to.
struct Expected {
    scenarios: usize,
    checks: usize,
}

#[tokio::test]
async fn conformance_with_2026_07_28_is_whole() {
    assert_passes(&["--requirements", "2026-07-28"], Expected { scenarios: 50, checks: 197 }).await;
}

#[tokio::test]
async fn conformance_with_2025_11_25_is_whole() {
    assert_passes(&["--requirements", "2025-11-25"], Expected { scenarios: 33, checks: 83 }).await;
}

#[tokio::test]
async fn conformance_with_2025_06_18_is_whole() {
    assert_passes(&["--suite", "all", "--spec-version", "2025-06-18"], Expected { scenarios: 27, checks: 56 }).await;
}

#[tokio::test]
async fn conformance_with_2025_03_26_is_whole() {
    assert_passes(&["--suite", "all", "--spec-version", "2025-03-26"], Expected { scenarios: 1, checks: 3 }).await;
}

async fn assert_passes(arguments: &[&str], expected: Expected) {
    let output = run_suite(&Demo::start_with_fixtures().await, arguments).await;
    let report = String::from_utf8_lossy(&output.stdout);
    let total = format!("Total: {} passed, 0 failed", expected.checks);
    assert!(output.status.success(), "the suite failed:\n{report}\n{}", String::from_utf8_lossy(&output.stderr));
    // Scenarios that are reported but not scored must pass all the same.
    assert_eq!(summary(&report, '✗'), Vec::<&str>::new(), "{report}");
    assert_eq!(summary(&report, '✓').len(), expected.scenarios, "{report}");
    assert!(report.lines().any(|line| line == total), "not {total:?}:\n{report}");
}

/// Runs the suite with the customer's key.
pub async fn run_suite(demo: &Demo, arguments: &[&str]) -> Output {
    let proxy = Proxy::start(demo.mcp_url(), demo.customer_key()).await;
    let scratch = tempfile::tempdir().expect("a directory");
    let suite = Command::new(tools::find("FORELOG_NODE"))
        .arg(tools::find("FORELOG_NODE_MODULES").join(".bin/conformance"))
        .args(["server", "--url", proxy.url()])
        .args(arguments)
        .current_dir(scratch.path())
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(TIMEOUT, suite).await.expect("the suite ends in time").expect("run the suite")
}

/// The scenarios that the summary marks so.
pub fn summary(report: &str, mark: char) -> Vec<&str> {
    let lines = report.lines().skip_while(|line| *line != "=== SUMMARY ===").filter(|line| line.contains(" passed, "));
    lines.filter_map(|line| line.strip_prefix(mark)?.trim().split(':').next()).collect()
}
