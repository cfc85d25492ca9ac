#!/bin/bash
# Installs the Debian package in a clean root of Debian, starts what it installs as its unit does, upgrades, removes and purges it.
#
#   scripts/test-deb.sh ROOT_TAR BINARY
#
# ROOT_TAR is made by scripts/test-setup.sh. Everything happens in namespaces of its own: nothing of this machine is changed, no
# port of it is used, and what is started ends with the script. systemd itself does not run there: the test takes the unit's user,
# environment and command line, and systemd-analyze judges the unit.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(id -u)" = 0 ] || { echo "WARNING: THE DEBIAN PACKAGE WAS NOT TESTED: that takes root" >&2; exit 0; }
[ -n "${FORELOG_TEST_DEB:-}" ] || FORELOG_TEST_DEB=$(mktemp -d) exec unshare --mount --net --pid --fork --kill-child "$0" "$@"

tar=$1 binary=$2 work=$FORELOG_TEST_DEB root=$FORELOG_TEST_DEB/root
trap 'umount -R "$root"/proc "$root"/dev; rm -rf "$work"' EXIT
URL=http://127.0.0.1:7373

say() { echo "test-deb: $* (after $SECONDS s)" >&2; }
die() { echo "test-deb: $*" >&2; exit 1; }
inside() { chroot "$root" "$@"; }
as_forelog=(chroot --userspec=forelog:forelog "$root" env HOME=/var/lib/forelog)
forelog() { "${as_forelog[@]}" forelog "$@" --config /etc/forelog/forelog.toml; }
holds() { [ "$2" = "$3" ] || die "$1: expected $3, but it is $2"; }
package() { scripts/package-deb.sh --binary "$binary" --compress none --version "$1" "$2"; }
install_package() { cp "$1" "$root/forelog.deb" && inside dpkg --install /forelog.deb >"$work/said" 2>&1 || { cat "$work/said" >&2; die "dpkg failed"; }; }

ip link set lo up
mkdir "$root" && tar -xf "$tar" -C "$root"
mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev"
mount -t proc proc "$root/proc"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# As systemd would: the unit's user, environment and command line.
start() {
  local unit=$root/usr/lib/systemd/system/forelog.service
  local -a command environment
  read -ra command < <(sed -n 's/^ExecStart=//p' "$unit")
  mapfile -t environment < <(sed -n 's/^Environment=//p' "$unit")
  "${as_forelog[@]}" "${environment[@]}" "${command[@]}" >"$work/log" 2>&1 &
  server=$!
  until forelog health >/dev/null 2>&1; do
    kill -0 $server 2>/dev/null || { cat "$work/log" >&2; die "the server ended"; }
    sleep 0.1
  done
}
stop() { kill $server && wait $server || die "the server did not end in order"; }
call() { curl -sS "$URL/api/v1/tools/$1" -H "Authorization: Bearer $key" --json "$2"; }

say "build"
strip -o "$work/forelog" "$binary" && binary=$work/forelog
old=$(package 0.1.0 "$work/old")
new=$(package 0.1.0+next "$work/new")
cmp "$old" "$(package 0.1.0 "$work/again")" || die "the same input made another package"

say "install"
install_package "$old"
grep -q 'does not run yet' "$work/said" || die "the installation does not say what comes next"
holds "owner and rights of the data" "$(inside stat -c '%U %G %a' /var/lib/forelog)" "forelog forelog 700"
holds "version" "$(inside forelog --version)" "forelog $(sed -n 's/^version = "\(.*\)"/\1/p;T;q' Cargo.toml)"
verified=$(systemd-analyze verify --man=no --recursive-errors=no --root="$root" forelog.service 2>&1) || die "$verified"
for page in forelog forelog-serve forelog-call-vm_power; do gzip -t "$root/usr/share/man/man1/$page.1.gz"; done
inside bash -c '. /usr/share/bash-completion/completions/forelog && complete -p forelog' >/dev/null

say "start"
forelog account create --name Staff --email staff@example.com --staff >/dev/null
account=$(forelog account create --name Example --email ops@example.com --json | jq -r .id)
key=$(forelog key create --account "$account" --label test --scope vms:read --json | jq -r .api_key)
start
holds "first call" "$(call vm_list '{}' | jq -c .items)" "[]"
holds "index" "$(curl -sS $URL/api/v1 | jq -r .name)" Forelog
stop

say "upgrade"
echo '# A line of the administrator.' >>"$root/etc/forelog/forelog.toml"
install_package "$new"
! grep -q 'does not run yet' "$work/said" || die "an upgrade speaks as a first installation"
grep -q 'line of the administrator' "$root/etc/forelog/forelog.toml" || die "the upgrade lost the configuration"
start
holds "call after the upgrade" "$(call vm_list '{}' | jq -c .items)" "[]"
stop
forelog log verify >/dev/null

say "remove"
inside dpkg --remove forelog >/dev/null 2>&1
[ ! -e "$root/usr/bin/forelog" ] || die "the binary is still there"
[ -e "$root/var/lib/forelog/log.db" ] && [ -e "$root/etc/forelog/forelog.toml" ] || die "removing lost data or configuration"

say "purge"
inside dpkg --purge forelog >"$work/said" 2>&1
grep -q '/var/lib/forelog is not empty and was kept' "$work/said" || die "purging does not say that it keeps the data"
[ -e "$root/var/lib/forelog/log.db" ] || die "purging lost the data"
[ ! -e "$root/etc/forelog" ] || die "purging left the configuration"
rm -rf "$root"/var/lib/forelog/*
install_package "$new" && inside dpkg --purge forelog >/dev/null 2>&1
[ ! -e "$root/var/lib/forelog" ] || die "purging left an empty directory"
say "installed, started, upgraded, removed and purged"
