# Ends the job in whose directory this lies: TERM, two seconds, KILL. Runs as: sh DIRECTORY/end timed_out|cancelled.
cd "${0%/*}" || exit 1
# What a command left behind that has ended is not ours to end.
[ ! -e rc ] || exit 0
# The first reason stays.
(set -C; echo "$1" >ending) 2>/dev/null
group=$(cat pgid) || exit 1
# A group of an earlier boot is not ours to end.
[ "$(cat boot)" = "$(cat /proc/sys/kernel/random/boot_id)" ] || exit 0

await() {
  n=0
  until "$@" || [ $n -ge 40 ]; do
    sleep 0.05
    n=$((n + 1))
  done
}
# The mark is on those, too, that left the group.
marked() { grep -l "FORELOG_COMMAND=${PWD##*/}" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3; }
send() { kill "-$1" "-$group" $(marked) 2>/dev/null; }
gone() { ! kill -0 "-$group" 2>/dev/null && [ -z "$(marked)" ]; }
told() { [ -e rc ]; }

send TERM
await gone
send KILL
await gone
: >ended
await told
