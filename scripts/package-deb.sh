#!/bin/bash
# Builds the Debian package forelog_VERSION_ARCHITECTURE.deb and prints its path.
#
#   scripts/package-deb.sh [--binary FILE] [--version VERSION] [--compress TYPE] OUT_DIR
#
# Without --binary it builds one as releases are built (profile dist). The same commit and compiler give the same bytes: times are
# those of the commit, or SOURCE_DATE_EPOCH. Needs Debian's packages dpkg-dev and binutils (build-essential has both) and gzip.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "package-deb: $*" >&2; exit 1; }

binary='' compress=xz version=$(sed -n 's/^version = "\(.*\)"/\1/p;T;q' Cargo.toml)
while [ $# -gt 1 ]; do
  case $1 in
    --binary) binary=$2 ;;
    --version) version=$2 ;;
    --compress) compress=$2 ;;
    *) die "unknown option $1" ;;
  esac
  shift 2
done
[ $# = 1 ] || die "usage: $0 [--binary FILE] [--version VERSION] [--compress TYPE] OUT_DIR"
mkdir -p "$1" && out=$(realpath "$1")
for tool in dpkg-shlibdeps strip; do command -v "$tool" >/dev/null || die "install Debian's packages dpkg-dev and binutils"; done

target=${CARGO_TARGET_DIR:-target}
if [ -z "$binary" ]; then
  cargo build --locked --profile dist --bin forelog >&2
  binary=$target/dist/forelog
fi
cargo build --locked --example command_line >&2

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
architecture=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH
umask 022
maintainer='The Forelog developers <forelog@localhost>'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/debian/forelog
doc=$root/usr/share/doc/forelog

put() { install -D -m "$1" -t "$root/$2" "${@:3}"; }

install -D -m 755 "$binary" "$root/usr/bin/forelog"
strip "$root/usr/bin/forelog"
put 644 usr/lib/systemd/system packaging/forelog.service
install -D -m 644 packaging/forelog.sysusers "$root/usr/lib/sysusers.d/forelog.conf"
put 644 etc/forelog packaging/debian/forelog.toml
"$target/debug/examples/command_line" "$root/usr/share"
put 644 usr/share/doc/forelog packaging/debian/copyright README.md SECURITY.md ARCHITECTURE.md CHANGELOG.md docs/*.md docs/forelog.toml
put 644 usr/share/doc/forelog/reference docs/reference/*.md
put 644 usr/share/doc/forelog/examples/policies policies/*
cp -r packaging/backup packaging/grafana packaging/prometheus "$doc/examples/"
cat >"$doc/changelog" <<END
forelog ($version) unstable; urgency=medium

  * CHANGELOG.md says what changed.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
cargo tree --locked --edges normal --prefix none --format '{p} {l}' | sed 's/ (.*)//' | LC_ALL=C sort -u >"$doc/libraries.txt"
gzip -9n "$doc/changelog" "$root"/usr/share/man/man1/*.1

# Which libraries of the system it needs, by the symbols that it takes of them.
needs() {
  touch "$work/debian/control"
  (cd "$work" && dpkg-shlibdeps -O -edebian/forelog/usr/bin/forelog) | sed 's/^shlibs:Depends=//'
}

put 755 DEBIAN packaging/debian/{postinst,prerm,postrm}
echo /etc/forelog/forelog.toml >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<END
Package: forelog
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$root" | cut -f 1)
Depends: $(needs), procps, systemd | systemd-standalone-sysusers | systemd-sysusers
Section: admin
Priority: optional
Description: audit-first control plane for AI agents that operate servers
 One binary between agents (MCP, REST) and infrastructure. Every call is written
 down before it happens, checked, carried out, and its outcome written down too.
END
(cd "$root" && find usr etc -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
package=$out/forelog_${version}_$architecture.deb
dpkg-deb -Z"$compress" --root-owner-group --build "$root" "$package" >&2
echo "$package"
