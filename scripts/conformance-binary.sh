#!/bin/bash
# Builds the binary with the fixtures of the MCP conformance suite beside the one that ships, and prints its path. Cargo
# gives both the same name, so it is copied aside and the other is put back.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${CARGO_TARGET_DIR:-target}/debug

# Naming a benchmark makes cargo settle on the same features of the same dependencies as it does for the tests; without it
# they would be built twice. It is the smallest that does.
build() { cargo build --locked --bin forelog --bench append "$@" >&2; }

build --features conformance
cp "$out/forelog" "$out/forelog-conformance"
build
realpath "$out/forelog-conformance"
