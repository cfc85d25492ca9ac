#!/bin/bash
# Copies Forelog's rooms out of PostgreSQL while they are in use:
#
#   packaging/backup/postgres.sh BACKUP_DIR DATABASE_URL [VAULT_DATABASE_URL]
#
# In one database both schemas come from one snapshot. With a vault elsewhere the log is copied first: a data key is in the vault
# before the log names it. The views are made again from the log, and the key file is kept elsewhere.
set -euo pipefail
umask 077

backup=${1:?a directory for the copy, which must not be there yet} database=${2:?the database\'s URL} vault=${3:-}
mkdir "$backup"

dump() { pg_dump --format=custom --no-owner --no-acl --file="$backup/$1" "${@:3}" "$2"; }
if [ -z "$vault" ]; then
  dump rooms.dump "$database" --schema=log --schema=vault
else
  dump log.dump "$database" --schema=log
  dump vault.dump "$vault" --schema=vault
fi
sync "$backup"/*.dump "$backup"
echo "$backup"
