#!/bin/bash
# Builds the binary with the fixtures of the MCP conformance suite beside the one that ships, and prints its path. Cargo
# gives both the same name, so it is copied aside and the other is put back.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${CARGO_TARGET_DIR:-target}/debug

cargo build --locked --bin forelog --features conformance >&2
cp "$out/forelog" "$out/forelog-conformance"
cargo build --locked --bin forelog >&2
realpath "$out/forelog-conformance"
