# Says how a job stands: STATE CODE STDOUT_BYTES STDERR_BYTES LEFT_RUNNING. Runs as: sh -c THIS status CALL.
job=/var/lib/forelog/jobs/$1

# Launcher and supervisor carry the call in their arguments; a pid file could name a stranger.
tended() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -qxE "(start|run)-$1"; }
grouped() {
  [ -s "$job/pgid" ] && [ "$(cat "$job/boot")" = "$(cat /proc/sys/kernel/random/boot_id)" ] &&
    kill -0 "-$(cat "$job/pgid")" 2>/dev/null
}
size() { wc -c 2>/dev/null <"$job/$1" || echo 0; }
tell() { echo "$1" "$2" $(size stdout) $(size stderr) "$3"; }

state=gone
if [ ! -e "$job/rc" ]; then
  # In this order: `rc` is written before the supervisor ends.
  tended "$1" && state=running
  [ $state = running ] || ! grouped || state=running
fi
if [ -s "$job/rc" ]; then
  read -r state code left <"$job/rc"
  tell "$state" "$code" "${left:-0}"
elif [ -d "$job" ] || [ $state = running ]; then
  tell $state 0 0
else
  echo absent 0 0 0 0
fi
