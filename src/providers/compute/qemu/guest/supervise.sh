# Looks after one job from outside its process group: spools its output, ends it in time, writes how it ended.
# Runs as: sh DIRECTORY/supervise run-CALL SECONDS WORKING_DIRECTORY. `rc` is written last, and once.
job=${0%/*}
cd "$job" || exit 1

# 64 MiB are kept; what comes after is read and dropped, so that the command is not held up. The same becomes of what is
# written after the command's end: whoever was left behind writes on into nothing.
spool='sh -c "ulimit -f 131072; echo \$\$ >\"\$1.reader\"; exec cat" spool "$1" >"$1"; exec cat >/dev/null'
setsid sh -c "$spool" spool stdout <stdout.pipe >/dev/null 2>&1 &
setsid sh -c "$spool" spool stderr <stderr.pipe >/dev/null 2>&1 &

# In a group of its own; the group is known before the command runs. The mark is inherited by whatever the command starts,
# also by what leaves the group.
enter='echo $$ >"$1/pgid.new" && mv "$1/pgid.new" "$1/pgid"
umask 022
export HOME=/root FORELOG_COMMAND="${1##*/}"
cd "${2:-/}" || exit 126
exec sh "$1/command"'
setsid sh -c "$enter" enter "$job" "$3" >stdout.pipe 2>stderr.pipe </dev/null &
main=$!

setsid sh -c 'sleep "$1"; exec sh "$2/end" timed_out' watch "$2" "$job" >/dev/null 2>&1 &
watch=$!

# The job ends with its shell, whatever that leaves behind.
wait "$main"
code=$?

# Whoever ends the job ends what left its group, too, and says when that is done.
n=0
until [ ! -s ending ] || [ -e ended ] || [ $n -ge 500 ]; do
  sleep 0.02
  n=$((n + 1))
done

# All that was written before is in the spool once a reader sleeps, for its pipe is empty then, or is gone; or, if somebody
# writes on all the time, once it has read more than any pipe holds.
size() { wc -c <"$1"; }
stdout=$(size stdout) stderr=$(size stderr)
has_read() {
  reader=$(cat "$1.reader" 2>/dev/null)
  [ -n "$reader" ] || return 1
  read -r about 2>/dev/null <"/proc/$reader/stat" || return 0
  case ${about##*) } in [SZX]*) return 0 ;; esac
  [ $(($(size "$1") - $2)) -gt 1048576 ]
}
n=0
until { has_read stdout "$stdout" && has_read stderr "$stderr"; } || [ $n -ge 500 ]; do
  sleep 0.02
  n=$((n + 1))
done
left=$(grep -l "FORELOG_COMMAND=${job##*/}" /proc/[0-9]*/environ 2>/dev/null | wc -l)
[ $left -gt 0 ] || ! kill -0 "-$(cat pgid)" 2>/dev/null || left=1
for reader in $(cat stdout.reader stderr.reader); do
  until ! kill -TERM "$reader" 2>/dev/null; do sleep 0.01; done
done

why=exited
[ ! -s ending ] || why=$(cat ending)
echo "$why $code $left" >rc.new
sync
mv rc.new rc
kill -KILL "-$watch" 2>/dev/null
