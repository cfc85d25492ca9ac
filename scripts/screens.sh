#!/bin/bash
# Takes the pictures of the console in docs/screens, from a demo of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
env_file=$(scripts/test-setup.sh)
set -a && . "$env_file" && set +a
ln -sfn "$FORELOG_NODE_MODULES" admin-ui/e2e/node_modules
binary=${CARGO_TARGET_DIR:-target}/debug/forelog
[ -x "$binary" ] || cargo build
data=$(mktemp -d)
"$binary" demo --data "$data" --listen 127.0.0.1:0 >"$data/log" 2>&1 &
server=$!
trap 'kill $server; wait $server || true; rm -rf "$data"' EXIT
until [ -s "$data/demo.json" ]; do kill -0 $server; sleep 0.1; done
mkdir -p docs/screens
"$FORELOG_NODE" admin-ui/e2e/screens.mjs "$data/demo.json" "$FORELOG_CHROMIUM" docs/screens
