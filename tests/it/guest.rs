//! The `qemu` provider against real guests: what it promises is worth nothing against a fake.
//! `scripts/guest-image.sh DIR` builds the guest; `FORELOG_GUEST_IMAGE` names DIR.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forelog::core::id::CallId;
use forelog::core::time::{Clock, Entropy, Micros};
use forelog::providers::Permit;
use forelog::providers::compute::qemu::{ImageDir, MachineSpec, Qemu};
use forelog::providers::compute::{
    Compute, Effect, GuestJobs, JobSpec, JobState, JobStatus, MachineRef, PowerAction, PowerState, ProviderError, Stream,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::tools;

/// Longer than anything takes on a busy machine without KVM.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Stands still until a test moves it.
struct StillClock(AtomicI64);

impl Clock for StillClock {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, into: &mut [u8]) {
        let next = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        into.iter_mut().rev().zip(next.iter().rev()).for_each(|(byte, next)| *byte = *next);
    }
}

/// A directory of machines with one machine, `web1`, and the provider over it.
struct Bench {
    dir: PathBuf,
    clock: Arc<StillClock>,
    entropy: Counter,
    qemu: Arc<Qemu>,
    jobs: Arc<dyn GuestJobs>,
    web1: MachineRef,
    _temporary: TempDir,
}

impl Bench {
    async fn off() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        // Longer than a socket's address may be.
        let dir = temporary
            .path()
            .join("machines-in-a-directory-whose-path-is-far-longer-than-the-address-of-a-unix-socket-may-ever-be");
        let clock = Arc::new(StillClock(AtomicI64::new(1_800_000_000_000_000)));
        let qemu = open(&dir, &clock);
        let jobs = qemu.guest().unwrap();
        let web1 = MachineRef("web1".into());
        qemu.create_machine(&web1, spec()).await.unwrap();
        Self { dir, clock, entropy: Counter(AtomicU64::new(1)), qemu, jobs, web1, _temporary: temporary }
    }

    async fn on() -> Self {
        let bench = Self::off().await;
        bench.power(PowerAction::Start).await.unwrap();
        bench
    }

    /// The provider as it is after a restart of ours.
    fn reopen(&mut self) {
        self.qemu = open(&self.dir, &self.clock);
        self.jobs = self.qemu.guest().unwrap();
    }

    fn call(&self) -> CallId {
        CallId::new(self.clock.now(), &self.entropy)
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }

    fn home(&self) -> PathBuf {
        self.dir.join("web1")
    }

    async fn power(&self, action: PowerAction) -> Result<(), ProviderError> {
        self.pass(Duration::from_millis(1));
        self.qemu.power(&self.web1, action, &self.call(), Permit::unfenced()).await
    }

    async fn rename(&self, name: &str) -> CallId {
        self.pass(Duration::from_millis(1));
        let call = self.call();
        self.qemu.rename(&self.web1, &name.parse().unwrap(), &call, Permit::unfenced()).await.unwrap();
        call
    }

    async fn hostname(&self) -> String {
        self.qemu.get(&self.web1).await.unwrap().hostname
    }

    async fn state(&self) -> PowerState {
        self.qemu.get(&self.web1).await.unwrap().power
    }

    async fn start(&self, command: &str, limit: u64) -> CallId {
        let call = self.call();
        self.jobs.start(&self.web1, &call, &job(command, limit), Permit::unfenced()).await.unwrap();
        call
    }

    async fn wait(&self, call: &CallId) -> JobStatus {
        self.jobs.wait(&self.web1, call, TIMEOUT).await.unwrap()
    }

    async fn read(&self, call: &CallId, stream: Stream) -> String {
        let bytes = self.jobs.read(&self.web1, call, stream, 0, 1 << 20).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Runs a command to its end and gives its standard output.
    async fn run(&self, command: &str) -> String {
        let call = self.start(command, 60).await;
        let status = self.wait(&call).await;
        let error = self.read(&call, Stream::Stderr).await;
        assert_eq!(status.state, JobState::Exited { code: 0 }, "{command}: {error}");
        self.read(&call, Stream::Stdout).await
    }

    async fn boot_id(&self) -> String {
        self.run("cat /proc/sys/kernel/random/boot_id").await
    }

    async fn find(&self, call: &CallId) -> Effect {
        self.qemu.find_change(&self.web1, call).await.unwrap()
    }

    /// Begins a power change and leaves it as a crash would: when the request is out, and before it is complete.
    async fn crash_during(&mut self, action: PowerAction) -> CallId {
        self.pass(Duration::from_millis(1));
        let call = self.call();
        let (out, is_out) = oneshot::channel();
        let permit = Permit::holding(Arc::new(Signal(Mutex::new(Some(out)))));
        let change = self.qemu.power(&self.web1, action, &call, permit);
        tokio::select! {
            done = change => panic!("it completed: {done:?}"),
            sent = is_out => sent.unwrap(),
        }
        self.reopen();
        call
    }

    /// What a crash between writing the journal and sending leaves behind.
    fn crash_before(&mut self, action: impl serde::Serialize, model: &CallId) -> CallId {
        let call = self.call();
        let text = std::fs::read_to_string(self.home().join("journal").join(model.as_str())).unwrap();
        let mut entry: serde_json::Value = serde_json::from_str(&text).unwrap();
        entry["call"] = json!(call);
        entry["action"] = json!(action);
        entry["at"] = json!(self.clock.now());
        entry["ending"] = serde_json::Value::Null;
        std::fs::write(self.home().join("journal").join(call.as_str()), entry.to_string()).unwrap();
        self.reopen();
        call
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let qemu = Arc::clone(&self.qemu);
        let stop = move || tokio::runtime::Runtime::new().unwrap().block_on(async { qemu.stop_all().await });
        let stopped = std::thread::spawn(stop).join();
        assert!(std::thread::panicking() || matches!(stopped, Ok(Ok(()))), "{stopped:?}");
    }
}

/// Speaks when it is dropped, which is when the request is out.
struct Signal(Mutex<Option<oneshot::Sender<()>>>);

impl Drop for Signal {
    fn drop(&mut self) {
        // Nobody listens any more in a test that has failed.
        if let Some(sender) = self.0.lock().unwrap().take() {
            let _gone = sender.send(());
        }
    }
}

fn open(dir: &Path, clock: &Arc<StillClock>) -> Arc<Qemu> {
    let image = ImageDir::open(tools::find("FORELOG_GUEST_IMAGE")).unwrap();
    let clock: Arc<dyn Clock> = Arc::<StillClock>::clone(clock);
    Qemu::open(dir.to_owned(), image, clock).unwrap()
}

fn spec() -> MachineSpec {
    let (label, os, region) = ("Shop".into(), "Debian 12".into(), "here".into());
    MachineSpec { label, memory_mib: 256, vcpu: 1, disk_gib: 4, os, region }
}

fn job(command: &str, seconds: u64) -> JobSpec {
    JobSpec { command: command.into(), working_directory: None, time_limit: Duration::from_secs(seconds) }
}

/// Asks again until the answer fits; the deadline is far, so only what never comes fails.
async fn eventually<T, F: Future<Output = T>>(mut ask: impl FnMut() -> F, fits: impl Fn(&T) -> bool) -> T {
    let asked = timeout(TIMEOUT, async {
        loop {
            let answer = ask().await;
            if fits(&answer) {
                return answer;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    asked.await.expect("it never came")
}

/// One QMP command from outside the provider.
fn qmp(home: &Path, command: &str) {
    use std::os::fd::AsRawFd;
    let dir = std::fs::File::open(home).unwrap();
    let mut stream = UnixStream::connect(format!("/proc/self/fd/{}/qmp.sock", dir.as_raw_fd())).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    lines.next().unwrap().unwrap();
    for command in ["qmp_capabilities", command] {
        writeln!(stream, "{{\"execute\":\"{command}\"}}").unwrap();
        while !lines.next().unwrap().unwrap().starts_with("{\"return\"") {}
    }
}

#[tokio::test]
async fn guest_is_listed_and_runs_commands() {
    let bench = Bench::off().await;
    assert_eq!(bench.state().await, PowerState::Stopped);
    assert!(matches!(bench.qemu.get(&MachineRef("../web1".into())).await, Err(ProviderError::NotFound(_))));
    let refused = bench.jobs.start(&bench.web1, &bench.call(), &job("true", 5), Permit::unfenced()).await;
    assert!(matches!(refused, Err(ProviderError::GuestUnavailable(_))), "{refused:?}");

    bench.power(PowerAction::Start).await.unwrap();
    let listed = bench.qemu.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].label.as_str(), listed[0].power), ("Shop", PowerState::Running));

    let told = bench.run("uname -a; hostname; ip -4 addr show eth0; df -m / | tail -n 1").await;
    assert!(told.starts_with("Linux web1 "), "{told}");
    assert!(told.contains(listed[0].ipv4.as_deref().unwrap()), "{told}");
    let disk: u32 = told.lines().last().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(disk > 3500, "the file system did not grow to its disk: {disk} MiB");

    let live = bench.qemu.stats(&bench.web1).await.unwrap().live.unwrap();
    assert!(live.memory_total_mib > 150 && live.memory_total_mib <= 256, "{live:?}");
}

#[tokio::test]
async fn guest_keeps_outputs_apart_and_tells_the_exit_code() {
    let bench = Bench::on().await;
    let call = bench.call();
    let spec = JobSpec { working_directory: Some("/etc".into()), ..job("pwd; echo sad >&2; umask; exit 3", 30) };
    bench.jobs.start(&bench.web1, &call, &spec, Permit::unfenced()).await.unwrap();
    assert_eq!(
        bench.wait(&call).await,
        JobStatus { state: JobState::Exited { code: 3 }, stdout_bytes: 10, stderr_bytes: 4, left_running: 0 }
    );
    assert_eq!(bench.read(&call, Stream::Stdout).await, "/etc\n0022\n");
    assert_eq!(bench.read(&call, Stream::Stderr).await, "sad\n");

    let again = bench.jobs.start(&bench.web1, &call, &spec, Permit::unfenced()).await;
    assert!(matches!(again, Err(ProviderError::State(_))), "{again:?}");
    let stranger = bench.jobs.status(&bench.web1, &bench.call()).await;
    assert!(matches!(stranger, Err(ProviderError::NotFound(_))), "{stranger:?}");

    let killed = bench.start("kill -KILL $$", 30).await;
    assert_eq!(bench.wait(&killed).await.state, JobState::Exited { code: 137 });
    let ended = bench.jobs.cancel(&bench.web1, &killed, Permit::unfenced()).await.unwrap();
    assert_eq!(ended.state, JobState::Exited { code: 137 }, "ending an ended job changes nothing");
}

#[tokio::test]
async fn guest_job_is_tailed_and_cancelled_with_all_its_children() {
    let bench = Bench::on().await;
    let child = "sh -c 'trap \"\" TERM; echo $$ >/run/child; while :; do sleep 1; done'";
    let call = bench.start(&format!("{child} & n=0; while :; do n=$((n+1)); echo line $n; sleep 0.2; done"), 300).await;

    let mut seen = Vec::new();
    while seen.len() < 40 {
        let offset = u64::try_from(seen.len()).unwrap();
        let ask = || bench.jobs.read(&bench.web1, &call, Stream::Stdout, offset, 16);
        let more = eventually(ask, |read| read.as_ref().is_ok_and(|bytes| !bytes.is_empty())).await.unwrap();
        assert!(more.len() <= 16);
        seen.extend(more);
    }
    assert!(String::from_utf8(seen).unwrap().starts_with("line 1\nline 2\nline 3\nline 4\n"));
    assert_eq!(bench.jobs.status(&bench.web1, &call).await.unwrap().state, JobState::Running);
    bench.run("kill -0 $(cat /run/child)").await;

    let status = bench.jobs.cancel(&bench.web1, &call, Permit::unfenced()).await.unwrap();
    assert_eq!(status.state, JobState::Cancelled);
    assert_eq!(bench.run("kill -0 $(cat /run/child) 2>/dev/null || echo dead").await, "dead\n");
    let end = bench.jobs.read(&bench.web1, &call, Stream::Stdout, status.stdout_bytes, 100).await.unwrap();
    assert!(end.is_empty(), "something was written after the end");
}

/// Agents start services this way all the time. A shell that has ended is the end, however what it left behind got away.
#[tokio::test]
async fn guest_command_ends_with_its_shell_and_what_it_left_behind_runs_on() {
    let bench = Bench::on().await;
    let (idle, told) = ("sh -c 'echo $$ >/run/left; exec sleep 300'", "sh -c 'echo $$ >/run/left; while :; do echo again");
    // What is left behind, and how many processes that is at most.
    let family = [
        (format!("({idle} &)"), 1),
        (format!("{idle} &"), 1),
        // What `nohup` does, which the small guest has not.
        (format!("(trap '' HUP; {idle} </dev/null >/dev/null 2>&1) &"), 2),
        (format!("setsid {idle} &"), 1),
        (format!("setsid sh -c \"{idle} & sleep 301 & wait\" >/dev/null 2>&1 &").replace("$$", "\\$\\$"), 3),
        (format!("(setsid sh -c \"({idle} &) &\" &)").replace("$$", "\\$\\$"), 1),
        (format!("env -i {idle} &"), 1),
        (format!("{told}; sleep 1; done' &"), 2),
        (format!("{told}; done' &"), 1),
    ];
    for (left, count) in family {
        let command =
            format!("rm -f /run/left; echo begun; {left}\nuntil [ -s /run/left ]; do sleep 0.1; done; echo done >&2; exit 7");
        let call = bench.start(&command, 120).await;
        let status = bench.wait(&call).await;
        assert_eq!(status.state, JobState::Exited { code: 7 }, "{left}");
        assert!((1..=count).contains(&status.left_running), "{left}: {status:?}");
        assert!(bench.read(&call, Stream::Stdout).await.starts_with("begun\n"), "{left}");
        assert_eq!(bench.read(&call, Stream::Stderr).await, "done\n", "{left}");
        // It runs on, an ended command is not ended again, and its output does not grow any more.
        let ended = bench.jobs.cancel(&bench.web1, &call, Permit::unfenced()).await.unwrap();
        assert_eq!(ended, status, "{left}");
        bench.run("kill -0 $(cat /run/left)").await;
        assert_eq!(bench.jobs.status(&bench.web1, &call).await.unwrap(), status, "{left}: the output grew after the end");
        bench.run("kill -KILL $(cat /run/left)").await;
    }
}

#[tokio::test]
async fn guest_cancel_and_time_limit_end_what_left_the_group_too() {
    let bench = Bench::on().await;
    let away = "setsid sh -c 'trap \"\" TERM; echo $$ >/run/away; while :; do sleep 1; done' >/dev/null 2>&1 &";
    for limit in [300, 3] {
        let call = bench.start(&format!("rm -f /run/away; {away} while :; do sleep 1; done"), limit).await;
        let status = if limit == 300 {
            let seen = || bench.run("cat /run/away 2>/dev/null || true");
            eventually(seen, |text| !text.is_empty()).await;
            bench.jobs.cancel(&bench.web1, &call, Permit::unfenced()).await.unwrap()
        } else {
            bench.wait(&call).await
        };
        let expected = if limit == 300 { JobState::Cancelled } else { JobState::TimedOut };
        assert_eq!(status.state, expected);
        assert_eq!(bench.run("kill -0 $(cat /run/away) 2>/dev/null || echo dead").await, "dead\n");
    }
}

#[tokio::test]
async fn guest_output_of_the_shell_is_whole_however_fast_it_ends() {
    let bench = Bench::on().await;
    let call = bench.start("head -c 300000 /dev/zero; (sleep 300 &)", 60).await;
    let status = bench.wait(&call).await;
    assert_eq!((status.state, status.stdout_bytes), (JobState::Exited { code: 0 }, 300_000));
    let killed = bench.start("head -c 100000 /dev/zero; sleep 300 & kill -KILL $$", 60).await;
    let status = bench.wait(&killed).await;
    assert_eq!((status.state, status.stdout_bytes, status.left_running), (JobState::Exited { code: 137 }, 100_000, 1));
}

#[tokio::test]
async fn guest_ends_a_job_when_its_time_is_over() {
    let bench = Bench::on().await;
    let call = bench.start("trap '' TERM; echo begun; while :; do sleep 1; done", 2).await;
    let status = bench.wait(&call).await;
    assert_eq!((status.state, status.stdout_bytes), (JobState::TimedOut, 6));
}

#[tokio::test]
async fn guest_spool_is_capped_and_the_command_runs_on() {
    let bench = Bench::on().await;
    let call = bench.start("head -c 70000000 /dev/zero; echo end >&2", 300).await;
    let status = bench.wait(&call).await;
    assert_eq!(
        status,
        JobStatus { state: JobState::Exited { code: 0 }, stdout_bytes: 64 << 20, stderr_bytes: 4, left_running: 0 }
    );
}

#[tokio::test]
async fn guest_job_and_machine_survive_a_restart_of_ours() {
    let mut bench = Bench::on().await;
    let call = bench.start("echo before; sleep 3; echo after", 60).await;
    bench.reopen();
    assert_eq!(bench.state().await, PowerState::Running);
    assert_eq!(bench.wait(&call).await.state, JobState::Exited { code: 0 });
    assert_eq!(bench.read(&call, Stream::Stdout).await, "before\nafter\n");
}

#[tokio::test]
async fn guest_reboots_resets_shuts_down_stops_and_starts() {
    let bench = Bench::on().await;
    let again = bench.power(PowerAction::Start).await;
    assert!(matches!(again, Err(ProviderError::State(_))), "{again:?}");

    let first = bench.boot_id().await;
    bench.power(PowerAction::Reboot).await.unwrap();
    let second = bench.boot_id().await;
    assert_ne!(first, second);

    let lost = bench.start("sleep 600", 900).await;
    bench.power(PowerAction::Reset).await.unwrap();
    let status =
        eventually(|| bench.jobs.status(&bench.web1, &lost), |status| status.as_ref().is_ok_and(|s| s.state == JobState::Gone));
    status.await.unwrap();
    assert_ne!(bench.boot_id().await, second);

    bench.power(PowerAction::Shutdown).await.unwrap();
    assert_eq!(bench.state().await, PowerState::Stopped);
    let off = bench.power(PowerAction::Stop).await;
    assert!(matches!(off, Err(ProviderError::State(_))), "{off:?}");
    bench.power(PowerAction::Start).await.unwrap();
    bench.power(PowerAction::Stop).await.unwrap();
    assert_eq!(bench.state().await, PowerState::Stopped);
}

#[tokio::test]
async fn guest_power_is_found_after_a_crash() {
    let mut bench = Bench::off().await;
    assert_eq!(bench.find(&bench.call()).await, Effect::DidNotHappen, "never asked for");

    let start = bench.crash_during(PowerAction::Start).await;
    eventually(|| bench.find(&start), |effect| *effect == Effect::Happened).await;
    assert_eq!(bench.state().await, PowerState::Running);
    let twice = bench.qemu.power(&bench.web1, PowerAction::Start, &start, Permit::unfenced()).await;
    assert!(matches!(twice, Err(ProviderError::State(_))), "{twice:?}");
    eventually(|| bench.jobs.status(&bench.web1, &start), |status| matches!(status, Err(ProviderError::NotFound(_))))
        .await
        .unwrap_err();

    bench.pass(Duration::from_secs(1));
    let shutdown = bench.crash_during(PowerAction::Shutdown).await;
    // QEMU may drop a request whose sender is gone before it has read it; the answer must agree with what came of it.
    let happened = timeout(Duration::from_secs(15), eventually(|| bench.find(&shutdown), |effect| *effect == Effect::Happened));
    if happened.await.is_ok() {
        assert_eq!(bench.state().await, PowerState::Stopped);
        return;
    }
    assert_eq!(bench.find(&shutdown).await, Effect::Running, "it may still be in the air");
    bench.pass(Duration::from_mins(5));
    assert_eq!(bench.find(&shutdown).await, Effect::DidNotHappen);
    assert_eq!(bench.state().await, PowerState::Running);
}

#[tokio::test]
async fn guest_power_that_was_never_sent_is_found_not_to_have_happened() {
    let mut bench = Bench::off().await;
    bench.pass(Duration::from_millis(1));
    let started = bench.call();
    bench.qemu.power(&bench.web1, PowerAction::Start, &started, Permit::unfenced()).await.unwrap();
    let reset = bench.call();
    bench.qemu.power(&bench.web1, PowerAction::Reset, &reset, Permit::unfenced()).await.unwrap();
    assert_eq!(bench.find(&started).await, Effect::Happened);

    // The reset's entry tells which process ran the machine then; the same is true of a stop.
    bench.pass(Duration::from_secs(1));
    let stop = bench.crash_before(PowerAction::Stop, &reset);
    assert_eq!(bench.find(&stop).await, Effect::Running, "it may still be in the air");
    bench.pass(Duration::from_mins(5));
    let pid = find_process(&bench.home());
    signal(&pid, "STOP");
    assert_eq!(bench.find(&stop).await, Effect::CannotTell, "somebody is there and does not say who");
    signal(&pid, "CONT");
    eventually(|| bench.state(), |state| *state == PowerState::Running).await;
    assert_eq!(bench.find(&stop).await, Effect::DidNotHappen);
}

#[tokio::test]
async fn guest_that_is_paused_is_unavailable_and_comes_back() {
    let bench = Bench::on().await;
    let before = bench.run("echo 1").await;
    assert_eq!(before, "1\n");
    qmp(&bench.home(), "stop");
    assert_eq!(bench.state().await, PowerState::Paused);
    assert!(bench.qemu.stats(&bench.web1).await.unwrap().live.is_none());
    let call = bench.call();
    for _ in 0..2 {
        let refused = bench.jobs.start(&bench.web1, &call, &job("echo 2", 30), Permit::unfenced()).await;
        assert!(matches!(refused, Err(ProviderError::GuestUnavailable(_))), "{refused:?}");
    }
    qmp(&bench.home(), "cont");
    let missing = bench.jobs.status(&bench.web1, &call).await;
    assert!(matches!(missing, Err(ProviderError::NotFound(_))), "unavailable means that nothing was started: {missing:?}");
    bench.jobs.start(&bench.web1, &call, &job("echo 2", 30), Permit::unfenced()).await.unwrap();
    assert_eq!(bench.wait(&call).await.state, JobState::Exited { code: 0 });
    assert_eq!(bench.read(&call, Stream::Stdout).await, "2\n");
}

#[tokio::test]
async fn guest_forgets_old_outputs_but_never_an_old_call() {
    let bench = Bench::on().await;
    let first = bench.start("echo first", 30).await;
    bench.wait(&first).await;
    for _ in 0..16 {
        bench.run("echo more").await;
    }
    let read = bench.jobs.read(&bench.web1, &first, Stream::Stdout, 0, 100).await;
    assert!(matches!(read, Err(ProviderError::NotFound(_))), "{read:?}");
    assert_eq!(bench.wait(&first).await.state, JobState::Exited { code: 0 });
    let again = bench.jobs.start(&bench.web1, &first, &job("echo first", 30), Permit::unfenced()).await;
    assert!(matches!(again, Err(ProviderError::State(_))), "{again:?}");
}

#[tokio::test]
async fn guest_whose_qemu_hangs_is_stopped_all_the_same() {
    let bench = Bench::on().await;
    assert!(bench.qemu.take_console(&bench.web1).await.unwrap().contains("up after"));
    let pid = find_process(&bench.home());
    signal(&pid, "STOP");
    assert_eq!(bench.state().await, PowerState::Unknown);
    let refused = bench.power(PowerAction::Shutdown).await;
    assert!(matches!(refused, Err(ProviderError::State(_))), "{refused:?}");
    bench.power(PowerAction::Stop).await.unwrap();
    assert_eq!(bench.state().await, PowerState::Stopped);
    bench.power(PowerAction::Start).await.unwrap();
    assert_eq!(bench.run("echo back").await, "back\n");
}

/// It has its disk and no socket yet: a second one must not be started, and it can be stopped.
#[tokio::test]
async fn guest_whose_qemu_does_not_listen_yet_is_not_off() {
    let bench = Bench::off().await;
    let coming = ["-c", "read never_comes", "qemu", "unix:qmp.sock,server=on,wait=off"];
    let piped = std::process::Stdio::piped();
    let mut child = std::process::Command::new("sh").args(coming).current_dir(bench.home()).stdin(piped).spawn().unwrap();
    assert_eq!(bench.state().await, PowerState::Unknown);
    let refused = bench.power(PowerAction::Start).await;
    assert!(matches!(refused, Err(ProviderError::State(_))), "{refused:?}");
    bench.power(PowerAction::Stop).await.unwrap();
    assert_eq!(bench.state().await, PowerState::Stopped);
    assert!(!child.wait().unwrap().success(), "it was killed");
}

/// Whoever can look into the process of a guest must find nothing of ours there, and others must find none of its files.
#[tokio::test]
async fn guest_process_has_nothing_of_ours() {
    let bench = Bench::on().await;
    let pid = find_process(&bench.home());
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap();
    let text = |name: &str| String::from_utf8(read(name)).unwrap();
    assert!(std::env::vars().count() > 2, "this process has more to give away");
    let environment = text("environ");
    let names: std::collections::BTreeSet<_> =
        environment.split_terminator('\0').filter_map(|pair| pair.split('=').next()).collect();
    assert!(names.iter().all(|name| ["LC_ALL", "PATH", "PWD"].contains(name)), "{names:?}");

    let status = text("status");
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim_start_matches(':').trim();
    assert_eq!((value("NoNewPrivs"), value("Seccomp")), ("1", "2"));
    assert_eq!(u64::from_str_radix(value("CapEff"), 16).unwrap(), 0);
    // Its error output ends with us, and it goes on.
    assert_ne!(u64::from_str_radix(value("SigIgn"), 16).unwrap() & (1 << 12), 0, "SIGPIPE");
    let limits = text("limits");
    assert!(limits.lines().any(|line| line.starts_with("Max core file size") && line.contains(" 0 ")), "{limits}");

    for entry in walk(&bench.dir) {
        let about = std::fs::symlink_metadata(&entry).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
        assert_eq!(mode, if about.is_dir() || is_socket(&about) { 0o700 } else { 0o600 }, "{}", entry.display());
    }
}

fn is_socket(about: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&about.file_type())
}

/// What is below `dir`.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let (mut waiting, mut found) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

fn signal(pid: &str, name: &str) {
    assert!(std::process::Command::new("kill").args(["-s", name, pid]).status().unwrap().success());
}

/// The process whose working directory is the machine's.
fn find_process(home: &Path) -> String {
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap());
    let mut ours = processes.filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == home));
    ours.next().unwrap().file_name().into_string().unwrap()
}

#[tokio::test]
async fn guest_is_told_its_new_name_when_it_starts() {
    let mut bench = Bench::on().await;
    assert_eq!(bench.hostname().await, "web1");
    let call = bench.rename("shop.example.com").await;
    assert_eq!((bench.hostname().await.as_str(), bench.find(&call).await), ("shop.example.com", Effect::Happened));
    assert_eq!(bench.run("hostname").await, "web1\n", "nothing is run in a guest to rename it");
    bench.reopen();
    assert_eq!(bench.hostname().await, "shop.example.com", "it is in the machine's file");
    bench.power(PowerAction::Stop).await.unwrap();
    bench.power(PowerAction::Start).await.unwrap();
    assert_eq!(bench.run("hostname").await, "shop.example.com\n");
}

#[tokio::test]
async fn guest_renaming_that_nobody_saw_end_is_told_from_the_machines_file() {
    let mut bench = Bench::off().await;
    let first = bench.rename("shop").await;
    let again = bench.qemu.rename(&bench.web1, &"other".parse().unwrap(), &first, Permit::unfenced()).await;
    assert!(matches!(again, Err(ProviderError::State(_))), "{again:?}");
    bench.pass(Duration::from_millis(1));
    let never = bench.crash_before(json!({ "rename": "store" }), &first);
    assert_eq!((bench.find(&never).await, bench.hostname().await.as_str()), (Effect::DidNotHappen, "shop"));
    bench.pass(Duration::from_millis(1));
    let done = bench.crash_before(json!({ "rename": "shop" }), &first);
    assert_eq!(bench.find(&done).await, Effect::Happened);
    assert_eq!(bench.find(&never).await, Effect::CannotTell, "another name was given since");
    assert_eq!(bench.find(&bench.call()).await, Effect::DidNotHappen);
    // A change of the power in between changes no name.
    bench.pass(Duration::from_millis(1));
    let power = bench.crash_before(PowerAction::Stop, &first);
    assert_eq!(bench.find(&done).await, Effect::Happened);
    assert_ne!(bench.find(&power).await, Effect::Happened);
    // One that does not end keeps others out, whatever they change.
    let lock = std::fs::File::options().append(true).open(bench.home().join("lock")).unwrap();
    lock.try_lock().unwrap();
    assert_eq!(bench.find(&never).await, Effect::Running);
    let busy = bench.qemu.rename(&bench.web1, &"late".parse().unwrap(), &bench.call(), Permit::unfenced()).await;
    assert!(matches!(busy, Err(ProviderError::State(_))), "{busy:?}");
}
