#!/bin/bash
# Copies a data directory of Forelog while it is in use, without stopping or slowing it:
#
#   packaging/backup/sqlite.sh DATA_DIR BACKUP_DIR
#
# The log first, the vault after it. A data key is in the vault before the log names it, so a later copy of the vault opens
# everything that an earlier copy of the log holds; the other way round it might not. The views are not copied: they are made
# again from the log. The key file is not copied either, because a copy that lies beside the vault protects nothing: keep one
# elsewhere. BACKUP_DIR must not be there yet; a copy that fails leaves none. Needs the program sqlite3.
set -euo pipefail
umask 077

die() { echo "$(basename "$0"): $*" >&2; exit 1; }
[ $# = 2 ] || die "usage: $0 DATA_DIR BACKUP_DIR"
command -v sqlite3 >/dev/null || die "install the program sqlite3 (Debian's package sqlite3)"
data=$1 backup=$2
[ ! -e "$backup" ] || die "$backup is there already: name a directory that is not there yet"
# Whole paths: sqlite3 takes what begins with a dash for an option, and with "file:" for an address.
data=$(realpath -e -- "$data")
for room in log vault; do
  # sqlite3 would make what is not there, and copy that.
  [ -s "$data/$room.db" ] || die "there is no $data/$room.db"
done
mkdir -- "$backup"
backup=$(realpath -e -- "$backup")
trap '[ $? = 0 ] || rm -rf -- "$backup"' EXIT

for room in log vault; do
  # One read transaction: what is written meanwhile is not in the copy, and nobody waits.
  sqlite3 -bail "$data/$room.db" "vacuum into '${backup//\'/\'\'}/$room.db'"
  [ "$(sqlite3 -bail "$backup/$room.db" 'select count(*) > 0 from sqlite_schema')" = 1 ] ||
    die "the copy of $room.db is empty"
  sync "$backup/$room.db"
done
sync "$backup"
echo "$backup"
