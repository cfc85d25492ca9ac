#!/bin/bash
# Runs every check that a change must pass, on a clean clone too: formatting, lints, documentation, dependencies, and all
# tests against real databases, guests and clients. The test runner's summary is the last thing printed.
#
# The library is built twice: for the tests, and with the feature `conformance` too, whose binary alone carries the fixture
# tools of the MCP conformance suite. Dependencies are shared, so the second build is only ours. It is compiled without the
# feature `testing` as well: then nothing sees into the library, and the compiler says what nothing uses.
set -euo pipefail
cd "$(dirname "$0")/.."

# A second run must be fast even from a new clone, so builds and tools live outside it.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/forelog/target}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
exec </dev/null

step() { echo "== $* (after $SECONDS s)" >&2; }

step "tools"
env_file=$(scripts/test-setup.sh)
set -a && . "$env_file" && set +a

step "format" && cargo fmt --all --check
step "lint" && cargo clippy --locked --all-targets -- -D warnings
step "lint with conformance" && cargo clippy --locked --lib --bins --features conformance -- -D warnings
# The style of what is exported is the tests' business; here only what the compiler itself says counts.
step "compile as it ships" && cargo rustc --locked --lib --profile check -- -D warnings
step "document" && RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --locked --no-deps --document-private-items

step "judge the dependencies" && scripts/dependencies.sh

step "build with conformance"
FORELOG_CONFORMANCE_BIN=$(scripts/conformance-binary.sh)
export FORELOG_CONFORMANCE_BIN

# Nothing is asserted of the figures: they are there to be looked at.
step "measure" && cargo test --locked --bench large -- small && cargo test --locked --bench facets -- 100000

step "Debian package" && scripts/test-deb.sh "$FORELOG_DEBIAN_ROOT" "$CARGO_TARGET_DIR/debug/forelog"

step "test" && cargo test --locked --doc
exec cargo nextest run --locked "$@"
