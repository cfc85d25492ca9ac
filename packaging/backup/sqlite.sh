#!/bin/bash
# Copies a data directory of Forelog while it is in use, without stopping or slowing it:
#
#   packaging/backup/sqlite.sh DATA_DIR BACKUP_DIR
#
# The log first, the vault after it. A data key is in the vault before the log names it, so a later copy of the vault opens
# everything that an earlier copy of the log holds; the other way round it might not. The views are not copied: they are made
# again from the log. The key file is not copied either, because a copy that lies beside the vault protects nothing: keep one
# elsewhere.
set -euo pipefail
umask 077

data=${1:?the data directory} backup=${2:?a directory for the copy, which must not be there yet}
mkdir "$backup"

for room in log vault; do
  # One read transaction: what is written meanwhile is not in the copy, and nobody waits.
  sqlite3 -bail "file:$data/$room.db?mode=rw" "vacuum into '$backup/$room.db'"
  sync "$backup/$room.db"
done
sync "$backup"
echo "$backup"
