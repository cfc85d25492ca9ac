#!/bin/bash
# Measures Forelog beside a bare server and beside two gateways, in one session on this machine, and prints a table.
#
# Installs what it compares with: mcp-proxy from crates.io and ContextForge from PyPI, each once for its version, beside the
# tools of the tests. ContextForge needs Python 3.12 or 3.13 (COMPARE_PYTHON names one that is not on the path); without, its
# row is left out. COMPARE_PEERS=none leaves both out.
set -euo pipefail
cd "$(dirname "$0")/.."

MCP_PROXY=0.6.0
CONTEXT_FORGE=1.1.0

env_file=$(scripts/test-setup.sh)
set -a && . "$env_file" && set +a
peers=$FORELOG_TEST_TOOLS/peers
mkdir -p "$peers"

say() { echo "compare: $*" >&2; }

# The sessionless protocol, which the echo server and Forelog are measured with, is a feature of it.
install_mcp_proxy() {
  local dir=$peers/mcp-proxy-$MCP_PROXY
  if [ ! -x "$dir/bin/mcp-proxy" ]; then
    say "installing mcp-proxy $MCP_PROXY"
    CARGO_TARGET_DIR=$peers/build cargo install "mcp-proxy@$MCP_PROXY" --locked --no-default-features \
      --features protocol-2026-07-28 --root "$dir" >&2
    rm -rf "$peers/build"
  fi
  echo "$dir/bin/mcp-proxy"
}

find_python() {
  local python
  for python in "${COMPARE_PYTHON:-}" python3.13 python3.12 python3 "$HOME"/.pyenv/versions/3.1[23].*/bin/python3; do
    [ -n "$python" ] || continue
    "$python" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null && echo "$python" && return
  done
  return 1
}

# Moving a venv breaks its scripts but not `bin/python -m`, which is all that is used.
install_context_forge() {
  local dir=$peers/contextforge-$CONTEXT_FORGE python
  if [ ! -e "$dir" ]; then
    python=$(find_python) || { say "no Python 3.12 or 3.13: ContextForge is left out"; return 0; }
    say "installing ContextForge $CONTEXT_FORGE"
    rm -rf "$dir.part"
    "$python" -m venv "$dir.part" >&2
    "$dir.part/bin/python" -m pip install -q --disable-pip-version-check "mcp-contextforge-gateway==$CONTEXT_FORGE" >&2
    mv "$dir.part" "$dir"
  fi
  echo "$dir/bin/python"
}

if [ "${COMPARE_PEERS:-all}" != none ]; then
  FORELOG_COMPARE_MCP_PROXY=$(install_mcp_proxy)
  FORELOG_COMPARE_CONTEXTFORGE=$(install_context_forge)
  export FORELOG_COMPARE_MCP_PROXY FORELOG_COMPARE_CONTEXTFORGE
fi
exec cargo bench --locked --bench compare "$@"
