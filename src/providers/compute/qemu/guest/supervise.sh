# Looks after one job from outside its process group: spools its output, ends it in time, writes how it ended.
# Runs as: sh DIRECTORY/supervise run-CALL SECONDS WORKING_DIRECTORY. `rc` is written last, and once.
job=${0%/*}
cd "$job" || exit 1

# 64 MiB are kept; what comes after is read and dropped, so that the command is not held up.
spool='(ulimit -f 131072; exec cat) >"$1"; exec cat >/dev/null'
setsid sh -c "$spool" spool stdout <stdout.pipe 2>/dev/null &
out=$!
setsid sh -c "$spool" spool stderr <stderr.pipe 2>/dev/null &
err=$!
echo "$out $err" >spoolers

# In a group of its own; the group is known before the command runs.
enter='echo $$ >"$1/pgid.new" && mv "$1/pgid.new" "$1/pgid"
umask 022
export HOME=/root
cd "${2:-/}" || exit 126
exec sh "$1/command"'
setsid sh -c "$enter" enter "$job" "$3" >stdout.pipe 2>stderr.pipe </dev/null &
main=$!

setsid sh -c 'sleep "$1"; exec sh "$2/end" timed_out' watch "$2" "$job" >/dev/null 2>&1 &
watch=$!

# A child that was left behind and holds an output keeps the job running: its bytes belong to the job.
wait "$main"
code=$?
wait "$out" "$err"
why=exited
[ ! -s ending ] || why=$(cat ending)
echo "$why $code" >rc.new
sync
mv rc.new rc
kill -KILL "-$watch" 2>/dev/null
