# Starts a job. Runs in the guest as: sh -c THIS start-CALL CALL SECONDS DIRECTORY SUPERVISE END, the command on stdin.
# Ends with 0 once the job's process group exists, 17 if the call was started before.
set -eu
umask 077
jobs=/var/lib/forelog/jobs
job=$jobs/$1
mkdir -p "$jobs"
mkdir "$job" 2>/dev/null || { [ -d "$job" ] && exit 17; exit 1; }
cd "$job"
cat >command
# The outputs of old jobs go, or they would fill the disk; their directories stay, so that no call starts twice.
for old in $(ls -dr "$jobs"/*/stdout 2>/dev/null | tail -n +16); do
  old=${old%/stdout}
  [ ! -e "$old/rc" ] || rm -f "$old/stdout" "$old/stderr" "$old/command"
done
printf '%s\n' "$4" >supervise
printf '%s\n' "$5" >end
cat /proc/sys/kernel/random/boot_id >boot
: >stdout
: >stderr
mkfifo stdout.pipe stderr.pipe
# A cut of the power must not make the job look as if it had never been started.
sync
setsid sh "$job/supervise" "run-$1" "$2" "$3" >/dev/null 2>&1 </dev/null &
while [ ! -s pgid ]; do
  kill -0 $! 2>/dev/null || exit 1
  sleep 0.01
done
