//! The `qemu` provider against real guests: what it promises is worth nothing against a fake.
//! `scripts/guest-image.sh DIR` builds the guest; `FORELOG_GUEST_IMAGE` names DIR.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod isolation;
mod names;
mod outputs;
mod power;

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

fn signal(pid: &str, name: &str) {
    assert!(std::process::Command::new("kill").args(["-s", name, pid]).status().unwrap().success());
}

/// The process whose working directory is the machine's.
fn find_process(home: &Path) -> String {
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap());
    let mut ours = processes.filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == home));
    ours.next().unwrap().file_name().into_string().unwrap()
}
