#!/bin/bash
# Judges what Forelog is built from: licences, sources and what is banned (cargo-deny, by deny.toml), and what is known against
# it (cargo-audit, by RustSec's advisory database).
#
# The database is a git repository. FORELOG_ADVISORY_DB names a copy of it; otherwise it is fetched, and what was fetched is
# kept for a day. Where it cannot be had, that is said and is no failure: a change is not held up by somebody else's server.
# With FORELOG_ADVISORIES=required it is one, which is for whoever makes a release.
set -euo pipefail
cd "$(dirname "$0")/.."

DATABASE=https://github.com/RustSec/advisory-db
TOOLS=${FORELOG_TEST_TOOLS:-${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/forelog/target}/test-tools}
# shellcheck disable=SC1091 # what scripts/test-setup.sh has written
[ -n "${FORELOG_AUDIT_TOOLS:-}" ] || [ ! -r "$TOOLS/env" ] || . "$TOOLS/env"
PATH=${FORELOG_AUDIT_TOOLS:+$FORELOG_AUDIT_TOOLS:}$PATH

say() { echo "dependencies: $*" >&2; }

# Puts a copy of the database at $1, unless there is one from today.
fetch() {
  [ -z "$(find "$1/.git" -maxdepth 0 -mtime -1 2>/dev/null)" ] || return 0
  rm -rf "$1.part"
  say "fetching the advisory database"
  GIT_TERMINAL_PROMPT=0 timeout 60 git clone -q --depth 1 "$DATABASE" "$1.part" >&2 || return 1
  rm -rf "$1" && mv "$1.part" "$1"
}

audit() {
  local ignored
  # One list of exceptions, with their reasons: deny.toml's.
  ignored=$(sed -n 's/.*id = "\(RUSTSEC-[0-9]*-[0-9]*\)".*/--ignore \1/p' deny.toml)
  # shellcheck disable=SC2086 # words on purpose
  # As deny.toml has it: what nobody maintains is said, what is unsound or was withdrawn fails.
  cargo-audit audit --no-fetch --stale --db "$1" --deny unsound --deny yanked $ignored >&2
}

cargo-deny --locked --log-level error check --hide-inclusion-graph licenses bans sources >&2

db=${FORELOG_ADVISORY_DB:-$TOOLS/advisory-db}
if [ -n "${FORELOG_ADVISORY_DB:-}" ] || fetch "$db"; then
  [ -n "$(find "$db/crates" -name "RUSTSEC-*.md" -print -quit 2>/dev/null)" ] || { say "there is no advisory database at $db"; exit 1; }
  audit "$db"
  say "licences, bans, sources and advisories are in order"
elif [ "${FORELOG_ADVISORIES:-}" = required ]; then
  say "the advisory database cannot be had, and is required"
  exit 1
else
  say "licences, bans and sources are in order"
  echo "WARNING: ADVISORIES WERE NOT CHECKED: the database cannot be had here. Set FORELOG_ADVISORY_DB to a copy of $DATABASE" >&2
fi
