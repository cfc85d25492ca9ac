//! The conformance suite against the binary as it ships: whatever can be passed without a fixture is passed, and nothing
//! of the fixtures is in it.

use crate::conformance::{run_suite, summary};
use crate::demo::Demo;

/// Scenarios that ask for nothing which only the fixtures have. The others call fixture tools, read fixture prompts and
/// resources, or use capabilities that nothing but a fixture would use, so a release cannot pass them.
const WITHOUT_FIXTURES_2026_07_28: &[&str] = &[
    "caching",
    "completion-complete",
    "dns-rebinding-protection",
    "http-header-validation",
    "input-required-result-unsupported-methods",
    "input-required-result-validate-input",
    "prompts-list",
    "resources-list",
    "sep-2164-resource-not-found",
    "server-sse-multiple-streams",
    "tools-list",
];
const WITHOUT_FIXTURES_2025_11_25: &[&str] = &[
    "completion-complete",
    "dns-rebinding-protection",
    "ping",
    "prompts-list",
    "resources-list",
    "server-initialize",
    "server-session-lifecycle",
    "server-sse-multiple-streams",
    "server-sse-polling",
    "tools-list",
];
/// Any scenario that a server can only pass with its fixture.
const NEEDS_ITS_FIXTURE: &str = "tools-call-simple-text";

#[tokio::test]
async fn conformance_of_a_release_needs_no_fixtures() {
    let demo = Demo::start().await;
    for (version, without_fixtures) in [("2026-07-28", WITHOUT_FIXTURES_2026_07_28), ("2025-11-25", WITHOUT_FIXTURES_2025_11_25)]
    {
        let output = run_suite(&demo, &["--requirements", version]).await;
        let report = String::from_utf8_lossy(&output.stdout);
        let passed = summary(&report, '✓');
        let failed: Vec<_> = without_fixtures.iter().filter(|scenario| !passed.contains(scenario)).collect();
        assert!(failed.is_empty(), "{version}: {failed:?} in\n{report}");
        assert!(summary(&report, '✗').contains(&NEEDS_ITS_FIXTURE), "a release has fixtures:\n{report}");
    }
}
