# Ends the job in whose directory this lies: TERM, two seconds, KILL. Runs as: sh DIRECTORY/end timed_out|cancelled.
cd "${0%/*}" || exit 1
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
gone() { ! kill -0 "-$group" 2>/dev/null; }
told() { [ -e rc ]; }

kill -TERM "-$group" 2>/dev/null
await gone
kill -KILL "-$group" 2>/dev/null
await gone
await told
# One that left the group may still hold an output.
for spooler in $(cat spoolers); do
  told || kill -KILL "-$spooler" 2>/dev/null
done
await told
