#!/bin/bash
# Copies Forelog's rooms out of PostgreSQL while they are in use:
#
#   FORELOG_DATABASE_URL=… [FORELOG_VAULT_DATABASE_URL=…] packaging/backup/postgres.sh BACKUP_DIR
#   packaging/backup/postgres.sh BACKUP_DIR DATABASE_URL [VAULT_DATABASE_URL]
#
# Everybody on the machine can read the arguments of a program: a URL that has a password in it belongs into the environment, or
# the password into PGPASSFILE or a service file. This gives pg_dump none in its arguments.
#
# In one database both schemas come from one snapshot. With a vault elsewhere the log is copied first: a data key is in the vault
# before the log names it. The views are made again from the log, and the key file is kept elsewhere.
set -euo pipefail
umask 077

die() { echo "$(basename "$0"): $*" >&2; exit 1; }
[ $# -ge 1 ] && [ $# -le 3 ] || die "usage: $0 BACKUP_DIR [DATABASE_URL [VAULT_DATABASE_URL]]"
command -v pg_dump >/dev/null || die "install the program pg_dump (Debian's package postgresql-client)"
backup=$1
[ ! -e "$backup" ] || die "$backup is there already: name a directory that is not there yet"
database=${2:-${FORELOG_DATABASE_URL:?the database, as FORELOG_DATABASE_URL or as the second argument}}
if [ $# -ge 2 ]; then vault=${3:-}; else vault=${FORELOG_VAULT_DATABASE_URL:-}; fi
unset FORELOG_DATABASE_URL FORELOG_VAULT_DATABASE_URL
mkdir -- "$backup"
trap '[ $? = 0 ] || rm -rf -- "$backup"' EXIT

# Parts a URL from the password in it.
part() {
  url=$1 password=
  if [[ $url =~ ^([a-z]+://[^/?@:]*):([^/?@]*)@(.*)$ ]]; then
    url="${BASH_REMATCH[1]}@${BASH_REMATCH[3]}" password=${BASH_REMATCH[2]}
  fi
  if [[ $url =~ ^([^?]*[?]|[^?]*[?].*&)password=([^&]*)(.*)$ ]]; then
    url="${BASH_REMATCH[1]}${BASH_REMATCH[3]#&}" password=${BASH_REMATCH[2]}
  fi
  password=${password//\\/\\\\}
  printf -v password '%b' "${password//%/\\x}"
}
dump() (
  part "$2"
  if [ -n "$password" ]; then export PGPASSWORD=$password; fi
  pg_dump --format=custom --no-owner --no-acl --file="$backup/$1" "${@:3}" "$url"
)
if [ -z "$vault" ]; then
  dump rooms.dump "$database" --schema=log --schema=vault
else
  dump log.dump "$database" --schema=log
  dump vault.dump "$vault" --schema=vault
fi
sync "$backup"/*.dump "$backup"
echo "$backup"
