#!/bin/bash
# Installs QEMU (qemu-system-x86_64, qemu-img) and the few tools scripts/guest-image.sh needs, from Debian's packages.
#
# Why not one apt-get line: an image may carry qemu-utils from backports without naming backports as a source, and
# then the plain install is refused. So: plain, else all of QEMU from backports, else qemu-utils moved back.
# Run as root; asks nothing; does nothing if all is there.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

QEMU=(qemu-system-x86 qemu-utils)
TOOLS=(cpio e2fsprogs gzip fakeroot)
INSTALL=(apt-get install -y -qq --no-install-recommends)

say() { echo "install-qemu: $*" >&2; }

installed() {
  local tool
  for tool in qemu-system-x86_64 qemu-img cpio mke2fs gzip fakeroot; do
    command -v "$tool" >/dev/null || return 1
  done
}

install_plain() { "${INSTALL[@]}" "${QEMU[@]}"; }

# The backports suite of the mirror that this machine already uses.
install_from_backports() {
  local uri codename list=/etc/apt/sources.list.d/qemu-backports.list
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
  uri=$(apt-get indextargets --format '$(REPO_URI) $(SUITE) $(RELEASE)' | awk -v c="$codename" '$2 == c || $3 == c {print $1; exit}')
  [ -n "$uri" ] || return 1
  echo "deb $uri $codename-backports main" >"$list"
  apt-get update -qq && "${INSTALL[@]}" -t "$codename-backports" "${QEMU[@]}" && return 0
  rm -f "$list"
  apt-get update -qq
  return 1
}

install_by_downgrade() {
  local version
  version=$(apt-cache policy qemu-system-x86 | awk '/Candidate:/ {print $2}')
  "${INSTALL[@]}" --allow-downgrades "qemu-system-x86=$version" "qemu-utils=$version"
}

if installed; then
  say "already here: $(qemu-system-x86_64 --version | head -n 1)"
  exit 0
fi
[ "$(id -u)" = 0 ] || { say "needs root"; exit 1; }

apt-get update -qq
"${INSTALL[@]}" "${TOOLS[@]}"
install_plain || { say "plain install refused, trying backports"; install_from_backports; } ||
  { say "no backports, moving qemu-utils back"; install_by_downgrade; }
installed || { say "still incomplete"; exit 1; }
say "$(qemu-system-x86_64 --version | head -n 1)"
