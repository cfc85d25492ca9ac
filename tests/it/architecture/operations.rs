//! The log has named operations: nobody else runs code under its lock.

use super::sources;

/// Files that still write to the log by closures of their own. None is added.
const CLOSURES: &[&str] = &["app/mend.rs"];

/// These only read, by a `Want` without a closure.
const READERS: [&str; 2] = ["export/verify/mod.rs", "export/verify/stored.rs"];

/// Whoever runs a closure in the transaction of an append keeps everybody waiting. A closure needs a `Draft`, and says with a `Want`
/// what is read for it.
#[test]
fn nobody_but_the_log_runs_closures_under_its_lock() {
    let mut listed = Vec::new();
    for source in sources() {
        if source.name.starts_with("log/") || READERS.contains(&source.name.as_str()) {
            continue;
        }
        let code = source.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        if code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "Draft" || word == "Want") {
            listed.push(source.name);
        }
    }
    assert_eq!(listed, CLOSURES, "what no longer runs a closure leaves the list");
}
