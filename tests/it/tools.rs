//! Where the tests find what `scripts/test-setup.sh` installed: in the environment, else in the env file that script
//! left in the target directory, so that a plain `cargo nextest run` works too.
//!
//! Invariant: a missing tool fails the test that needs it and says what to run; it never skips.

use std::path::{Path, PathBuf};

/// The path of the tool that `variable` names.
pub fn find(variable: &str) -> PathBuf {
    in_environment(variable)
        .or_else(|| in_env_file(variable))
        .unwrap_or_else(|| panic!("{variable} is not set: run scripts/test-setup.sh first"))
        .into()
}

/// What the test runner's environment says, if it says anything.
#[expect(clippy::disallowed_methods, reason = "the tools are named by the test runner's environment")]
pub fn in_environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

fn in_env_file(variable: &str) -> Option<String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let text = std::fs::read_to_string(target.join("test-tools/env")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(variable)?.strip_prefix('=')).map(str::to_owned)
}
