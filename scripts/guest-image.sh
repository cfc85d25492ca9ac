#!/bin/bash
# Builds the tiny Debian guest that the `qemu` provider starts: vmlinuz, initrd.img and base.qcow2 in OUT_DIR.
#
#   scripts/guest-image.sh OUT_DIR
#
# Everything comes from Debian's packages, unpacked without their maintainer scripts: no root rights, no loop mounts,
# no debootstrap. The result is kept under the hash of what went into it and linked from OUT_DIR, so a second run does
# nothing, and a base image that overlays stand on is never written again.
# Needs: apt, dpkg, cpio, gzip, mke2fs, qemu-img and, for an ordinary user, fakeroot (scripts/install-qemu.sh).
set -euo pipefail

[ $# = 1 ] || { echo "usage: $0 OUT_DIR" >&2; exit 2; }
HERE=$(cd "$(dirname "$0")" && pwd)
# Files of the guest must belong to root, whoever builds them.
[ "$(id -u)" = 0 ] || [ -n "${FAKEROOTKEY:-}" ] || exec fakeroot -- "$0" "$@"

say() { echo "guest-image: $*" >&2; }

SEEDS=(qemu-guest-agent curl libc-bin busybox-static passwd libpam-modules e2fsprogs)
# Needed only by maintainer scripts, which do not run here.
UNUSED='^(debconf|debconf-2.0|cdebconf|dpkg|perl.*|tar|init-system-helpers|libc6-dev.*|openssl|gcc-12-base|logsave)$'
# In the order in which they must be loaded: Debian's cloud kernel has all of virtio as modules.
MODULES=(drivers/virtio/{virtio_ring,virtio,virtio_pci_modern_dev,virtio_pci_legacy_dev,virtio_pci,virtio_mmio}
  drivers/block/virtio_blk net/core/failover drivers/net/{net_failover,virtio_net}
  drivers/char/{virtio_console,hw_random/virtio-rng} drivers/input/evdev drivers/acpi/button)

list_packages() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    "${SEEDS[@]}" | grep '^[a-z0-9]' | grep -vE "$UNUSED" | sort -u
  find_kernel
}

find_kernel() { apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ {print $2; exit}'; }

# One line a package: file name and digest; with this script, all that the image is made of.
describe_inputs() {
  apt-get download --print-uris "${PACKAGES[@]}" | awk '{print $2, $4}' | sort
  cat "$HERE/guest-image.sh" "$HERE"/guest/*
}

unpack_packages() {
  mkdir -p "$WORK/debs" "$WORK/kernel" "$ROOT"
  (cd "$WORK/debs" && apt-get download -qq -o APT::Sandbox::User=root "${PACKAGES[@]}" >/dev/null)
  local deb
  for deb in "$WORK"/debs/*.deb; do
    case $deb in
      */linux-image-*) dpkg -x "$deb" "$WORK/kernel" ;;
      *) dpkg -x "$deb" "$ROOT" ;;
    esac
  done
  rm -rf "$ROOT"/usr/share/{doc,man,locale,info,lintian,bug} "$ROOT"/usr/lib/x86_64-linux-gnu/gconv
}

# Packages of this release still ship files in /bin and /lib; the guest has one merged /usr.
merge_usr() {
  local dir
  for dir in bin sbin lib lib64; do
    mkdir -p "$ROOT/usr/$dir"
    [ ! -d "$ROOT/$dir" ] || { cp -a "$ROOT/$dir/." "$ROOT/usr/$dir/"; rm -rf "${ROOT:?}/$dir"; }
    ln -s "usr/$dir" "$ROOT/$dir"
  done
}

# Every applet of busybox whose name no real program has taken.
link_applets() {
  local applet
  for applet in $("$ROOT/usr/bin/busybox" --list); do
    case $applet in busybox | init | curl) continue ;; esac
    [ -e "$ROOT/usr/bin/$applet" ] || [ -e "$ROOT/usr/sbin/$applet" ] || ln -s busybox "$ROOT/usr/bin/$applet"
  done
}

write_configuration() {
  mkdir -p "$ROOT"/{proc,sys,dev,run,tmp,root,mnt,home/agent,etc/pam.d,etc/acpi/PWRF,var/log,var/lib}
  chmod 1777 "$ROOT/tmp"
  ln -s ../run "$ROOT/var/run" 2>/dev/null || true
  cat >"$ROOT/etc/os-release" <<-END
	PRETTY_NAME="Debian GNU/Linux 12 (bookworm) tiny"
	NAME="Debian GNU/Linux"
	VERSION_ID="12"
	VERSION="12 (bookworm)"
	ID=debian
	END
  printf 'root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n' >"$ROOT/etc/passwd"
  printf 'root:*:19000:0:99999:7:::\nagent:!:19000:0:99999:7:::\n' >"$ROOT/etc/shadow"
  chmod 600 "$ROOT/etc/shadow"
  printf 'root:x:0:\nagent:x:1000:\nshadow:x:42:\n' >"$ROOT/etc/group"
  echo '127.0.0.1 localhost' >"$ROOT/etc/hosts"
  echo tiny >"$ROOT/etc/hostname"
  printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n' >"$ROOT/etc/nsswitch.conf"
  # The agent sets passwords through chpasswd, which asks PAM.
  printf 'password required pam_unix.so sha512\naccount required pam_permit.so\nauth sufficient pam_rootok.so\n' |
    tee "$ROOT/etc/pam.d/chpasswd" >"$ROOT/etc/pam.d/passwd"
  install -m 755 "$HERE/guest/init" "$ROOT/usr/sbin/tiny-init"
  install -m 755 "$HERE/guest/shutdown" "$ROOT/usr/sbin/shutdown"
  printf '#!/bin/sh\nexec /sbin/shutdown -P +0\n' >"$ROOT/etc/acpi/PWRF/00000080"
  chmod 755 "$ROOT/etc/acpi/PWRF/00000080"
}

build_initrd() {
  local initrd=$WORK/initrd modules module
  modules=$(echo "$WORK"/kernel/lib/modules/*/kernel)
  mkdir -p "$initrd"/{bin,proc,sys,dev,newroot,lib/modules}
  cp "$ROOT/usr/bin/busybox" "$initrd/bin/"
  install -m 755 "$HERE/guest/initrd-init" "$initrd/init"
  for module in "${MODULES[@]}"; do
    # What another kernel has built in is simply not there.
    [ ! -e "$modules/$module.ko" ] || { cp "$modules/$module.ko" "$initrd/lib/modules/"; echo "${module##*/}.ko"; }
  done >"$initrd/lib/modules/order"
  (cd "$initrd" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0 | gzip -1) >"$BUILT/initrd.img"
}

build_disk() {
  mke2fs -q -t ext4 -J size=8 -E root_owner=0:0,lazy_itable_init=1,nodiscard -L forelog -d "$ROOT" "$WORK/root.ext4" 1G >/dev/null
  qemu-img convert -f raw -O qcow2 "$WORK/root.ext4" "$BUILT/base.qcow2"
  chmod 444 "$BUILT/base.qcow2"
}

publish() {
  local file
  for file in vmlinuz initrd.img base.qcow2; do ln -sfn "$HASH/$file" "$OUT/$file"; done
}

mkdir -p "$1"
OUT=$(realpath "$1")
apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1 || apt-get update -qq
mapfile -t PACKAGES < <(list_packages)
HASH=$(describe_inputs | sha256sum | cut -c 1-16)
if [ -e "$OUT/$HASH/base.qcow2" ]; then
  publish
  say "$OUT/$HASH is already built"
  exit 0
fi

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
ROOT=$WORK/root BUILT=$WORK/built
mkdir -p "$BUILT"
say "unpacking ${#PACKAGES[@]} packages"
unpack_packages
merge_usr
link_applets
write_configuration
cp "$WORK"/kernel/boot/vmlinuz-* "$BUILT/vmlinuz"
build_initrd
build_disk
rm -rf "$OUT/$HASH.new"
cp -r "$BUILT" "$OUT/$HASH.new"
mv -T "$OUT/$HASH.new" "$OUT/$HASH"
publish
say "built $OUT/$HASH ($(du -sh "$OUT/$HASH" | cut -f 1))"
