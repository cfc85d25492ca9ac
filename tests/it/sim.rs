//! The simulated fleet: that it says what it is, that it tells the truth after its process died, and that every fault a
//! test may ask for does what it is called.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forelog::core::id::CallId;
use forelog::core::time::{Clock, Entropy, Micros};
use forelog::providers::Permit;
use forelog::providers::compute::sim::{Action, Faults, Gate, Kind, Sim};
use forelog::providers::compute::{
    Compute, Effect, GuestJobs, JobSpec, JobState, JobStatus, Machine, MachineRef, PowerAction, PowerState, ProviderError, Stream,
};

const TIMEOUT: Duration = Duration::from_secs(20);

struct Still;

impl Clock for Still {
    fn now(&self) -> Micros {
        Micros(1_700_000_000_000_000)
    }
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

struct Fixed(u8);

impl Entropy for Fixed {
    fn fill(&self, into: &mut [u8]) {
        into.fill(self.0);
    }
}

fn call(number: u8) -> CallId {
    CallId::new(Micros(1), &Fixed(number))
}

fn web() -> MachineRef {
    MachineRef("m1".into())
}

fn open(dir: &Path) -> Arc<Sim> {
    let machine = Machine {
        machine: web(),
        label: "web-1".into(),
        hostname: "web-1".into(),
        os: "Debian 13".into(),
        region: "nowhere".into(),
        ipv4: None,
        vcpu: 1,
        memory_mib: 1024,
        disk_gib: 10,
        power: PowerState::Running,
    };
    Sim::open(dir.to_owned(), vec![machine], Faults::default(), Arc::new(Still)).expect("opening the simulation")
}

fn job(command: &str) -> JobSpec {
    JobSpec { command: command.into(), working_directory: None, time_limit: TIMEOUT }
}

async fn start(sim: &Sim, id: &CallId, command: &str) -> Arc<dyn GuestJobs> {
    let guest = sim.guest().expect("it has a guest channel");
    guest.start(&web(), id, &job(command), Permit::unfenced()).await.expect("starting");
    guest
}

async fn run(sim: &Sim, id: &CallId, command: &str) -> (JobStatus, String, String) {
    let guest = start(sim, id, command).await;
    let status = guest.wait(&web(), id, TIMEOUT).await.expect("waiting");
    let out = guest.read(&web(), id, Stream::Stdout, 0, 1 << 20).await.expect("reading");
    let err = guest.read(&web(), id, Stream::Stderr, 0, 1 << 20).await.expect("reading");
    (status, String::from_utf8(out).expect("text"), String::from_utf8(err).expect("text"))
}

/// A permit that tells when it was dropped.
fn watched() -> (Permit, Arc<()>) {
    let section = Arc::new(());
    (Permit::holding(section.clone()), section)
}

#[tokio::test]
async fn sim_says_that_it_is_one_everywhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    assert!(sim.capabilities().simulation);
    let machine = sim.get(&web()).await.expect("getting");
    assert_eq!((machine.label.as_str(), machine.os.as_str()), ("web-1-sim", "Debian 13 (simulated)"));
    let (_, out, _) = run(&sim, &call(1), "uname -a; cat /etc/os-release").await;
    assert!(out.contains("this is a simulation") && out.contains("(simulated)"), "{out}");
    let (status, _, err) = run(&sim, &call(2), "rm -rf /").await;
    assert_eq!(status.state, JobState::Exited { code: 127 });
    assert_eq!(err, "sim: rm: not found (this is a simulation)\n");
    let (status, _, err) = run(&sim, &call(3), "echo a | tee b").await;
    assert_eq!(status.state, JobState::Exited { code: 2 });
    assert!(err.contains("this is a simulation"), "{err}");
}

#[tokio::test]
async fn sim_understands_its_few_commands() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    for (number, command, code, out, err) in [
        (1, "echo 'a;  b' c; echo no >&2", 0, "a;  b c\n", "no\n"),
        (2, "false && echo never; echo after", 0, "after\n", ""),
        (3, "true && exit 7; echo never", 7, "", ""),
        (4, "seq 2 4", 0, "2\n3\n4\n", ""),
        (5, "repeat 2 la la", 0, "la la\nla la\n", ""),
        (6, "echo '>&2'", 0, ">&2\n", ""),
        (7, "false", 1, "", ""),
    ] {
        let (status, seen_out, seen_err) = run(&sim, &call(number), command).await;
        assert_eq!(status.state, JobState::Exited { code }, "{command}");
        assert_eq!((seen_out.as_str(), seen_err.as_str()), (out, err), "{command}");
    }
}

#[tokio::test]
async fn sim_reads_output_by_offset_while_the_job_runs_and_after() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    let guest = start(&sim, &call(1), "echo hello; sleep 3600").await;
    let running = async {
        while guest.status(&web(), &call(1)).await.expect("asking").stdout_bytes < 6 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, running).await.expect("it wrote");
    assert_eq!(guest.read(&web(), &call(1), Stream::Stdout, 1, 3).await.expect("reading"), b"ell");
    let ended = guest.cancel(&web(), &call(1), Permit::unfenced()).await.expect("cancelling");
    assert_eq!(ended, JobStatus { state: JobState::Cancelled, stdout_bytes: 6, stderr_bytes: 0, left_running: 0 });
    assert_eq!(guest.cancel(&web(), &call(1), Permit::unfenced()).await.expect("again"), ended);
    assert_eq!(guest.read(&web(), &call(1), Stream::Stdout, 4, 100).await.expect("reading"), b"o\n");
    assert!(guest.read(&web(), &call(1), Stream::Stdout, 6, 100).await.expect("reading").is_empty());
}

#[tokio::test]
async fn sim_ends_a_job_whose_time_is_over_and_caps_its_output() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    let guest = sim.guest().expect("it has a guest channel");
    let short = JobSpec { time_limit: Duration::from_millis(20), ..job("sleep 3600") };
    guest.start(&web(), &call(1), &short, Permit::unfenced()).await.expect("starting");
    assert_eq!(guest.wait(&web(), &call(1), TIMEOUT).await.expect("waiting").state, JobState::TimedOut);
    let long = "x".repeat(1 << 20);
    let (status, ..) = run(&sim, &call(2), &format!("repeat 1000000 {long}")).await;
    assert_eq!((status.state, status.stdout_bytes), (JobState::Exited { code: 141 }, 64 << 20));
}

#[tokio::test]
async fn sim_does_not_start_a_call_twice_nor_on_a_stopped_machine() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    run(&sim, &call(1), "true").await;
    let guest = sim.guest().expect("it has a guest channel");
    let again = guest.start(&web(), &call(1), &job("true"), Permit::unfenced()).await;
    assert!(matches!(again, Err(ProviderError::State(_))), "{again:?}");
    assert_eq!(sim.executions(&call(1)), 1);
    guest.start(&web(), &call(2), &job("sleep 3600"), Permit::unfenced()).await.expect("starting");
    sim.power(&web(), PowerAction::Stop, &call(3), Permit::unfenced()).await.expect("stopping");
    assert_eq!(guest.status(&web(), &call(2)).await.expect("asking").state, JobState::Gone);
    let stopped = guest.start(&web(), &call(4), &job("true"), Permit::unfenced()).await;
    assert!(matches!(stopped, Err(ProviderError::State(_))), "{stopped:?}");
    let twice = sim.power(&web(), PowerAction::Stop, &call(5), Permit::unfenced()).await;
    assert!(matches!(twice, Err(ProviderError::State(_))), "{twice:?}");
    assert_eq!(sim.find_change(&web(), &call(5)).await.expect("asking"), Effect::DidNotHappen);
}

#[tokio::test]
async fn sim_tells_the_truth_after_its_process_died() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    run(&sim, &call(1), "echo kept; exit 3").await;
    start(&sim, &call(2), "sleep 3600").await;
    sim.power(&web(), PowerAction::Reset, &call(3), Permit::unfenced()).await.expect("resetting");
    start(&sim, &call(4), "sleep 3600").await;
    sim.faults().inject(None, None, Kind::Slow(Duration::from_hours(1)));
    let slow = tokio::spawn({
        let sim = sim.clone();
        async move { sim.power(&web(), PowerAction::Stop, &call(5), Permit::unfenced()).await }
    });
    let begun = async {
        while sim.executions(&call(5)) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, begun).await.expect("it began");
    assert_eq!(sim.find_change(&web(), &call(5)).await.expect("asking"), Effect::Running);
    slow.abort();
    slow.await.expect_err("it was aborted");
    drop(sim);
    let half_a_line = || {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().append(true).open(dir.path().join("journal.jsonl"))?;
        file.write_all(b"{\"record\":\"power_ch")
    };
    half_a_line().expect("writing");

    let sim = open(dir.path());
    let guest = sim.guest().expect("it has a guest channel");
    let first = guest.status(&web(), &call(1)).await.expect("asking");
    assert_eq!(first, JobStatus { state: JobState::Exited { code: 3 }, stdout_bytes: 5, stderr_bytes: 0, left_running: 0 });
    assert_eq!(guest.read(&web(), &call(1), Stream::Stdout, 0, 100).await.expect("reading"), b"kept\n");
    assert_eq!(guest.status(&web(), &call(2)).await.expect("asking").state, JobState::Gone);
    assert_eq!(guest.status(&web(), &call(4)).await.expect("asking").state, JobState::Gone);
    assert_eq!(sim.find_change(&web(), &call(3)).await.expect("asking"), Effect::Happened);
    assert_eq!(sim.find_change(&web(), &call(5)).await.expect("asking"), Effect::DidNotHappen);
    assert_eq!(sim.get(&web()).await.expect("getting").power, PowerState::Running);
    assert_eq!(sim.executions(&call(3)), 1);
    let missing = guest.status(&web(), &call(9)).await;
    assert!(matches!(missing, Err(ProviderError::NotFound(_))), "{missing:?}");
}

#[tokio::test]
async fn sim_is_the_same_in_every_process_that_has_it_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (open(dir.path()), open(dir.path()));
    one.power(&web(), PowerAction::Stop, &call(1), Permit::unfenced()).await.expect("stopping");
    assert_eq!(two.get(&web()).await.expect("getting").power, PowerState::Stopped);
    assert_eq!(two.find_change(&web(), &call(1)).await.expect("asking"), Effect::Happened);
    two.power(&web(), PowerAction::Start, &call(2), Permit::unfenced()).await.expect("starting");
    assert_eq!(one.get(&web()).await.expect("getting").power, PowerState::Running);
    let guest = start(&one, &call(3), "sleep 3600").await;
    run(&one, &call(4), "echo kept").await;
    let elsewhere = two.guest().expect("it has a guest channel");
    assert_eq!(elsewhere.status(&web(), &call(3)).await.expect("asking").state, JobState::Running);
    assert_eq!(elsewhere.read(&web(), &call(4), Stream::Stdout, 0, 100).await.expect("reading"), b"kept\n");
    two.power(&web(), PowerAction::Reset, &call(5), Permit::unfenced()).await.expect("resetting");
    assert_eq!(guest.status(&web(), &call(3)).await.expect("asking").state, JobState::Gone, "its machine was reset");
    start(&one, &call(6), "sleep 3600").await;
    drop((one, guest));
    assert_eq!(elsewhere.status(&web(), &call(6)).await.expect("asking").state, JobState::Gone, "its process died");
    assert_eq!((two.executions(&call(1)), two.executions(&call(6))), (1, 1));
    let three = open(dir.path());
    assert_eq!(three.find_change(&web(), &call(5)).await.expect("asking"), Effect::Happened);
}

#[tokio::test]
async fn sim_does_once_what_arrives_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (open(dir.path()), open(dir.path()));
    one.power(&web(), PowerAction::Reset, &call(1), Permit::unfenced()).await.expect("resetting");
    for sim in [&one, &two] {
        let again = sim.power(&web(), PowerAction::Reset, &call(1), Permit::unfenced()).await;
        assert!(matches!(again, Err(ProviderError::State(_))), "{again:?}");
    }
    assert_eq!(two.executions(&call(1)), 1);
}

#[tokio::test]
async fn sim_refuses_a_damaged_journal() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("journal.jsonl"), "{}\n").expect("writing");
    let damaged = Sim::open(dir.path().to_owned(), Vec::new(), Faults::default(), Arc::new(Still));
    assert!(matches!(damaged, Err(ProviderError::Refused(_))));
}

#[tokio::test]
async fn sim_loses_answers_of_what_happened_and_of_what_did_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    sim.faults().inject_once(Some(&web()), Some(Action::Power(PowerAction::Stop)), Kind::LoseAnswer);
    let lost = sim.power(&web(), PowerAction::Stop, &call(1), Permit::unfenced()).await;
    assert!(matches!(lost, Err(ProviderError::AnswerLost(_))), "{lost:?}");
    assert_eq!(sim.find_change(&web(), &call(1)).await.expect("asking"), Effect::Happened);
    assert_eq!(sim.get(&web()).await.expect("getting").power, PowerState::Stopped);

    sim.faults().inject_once(None, Some(Action::Power(PowerAction::Start)), Kind::LoseRequest);
    let lost = sim.power(&web(), PowerAction::Start, &call(2), Permit::unfenced()).await;
    assert!(matches!(lost, Err(ProviderError::AnswerLost(_))), "{lost:?}");
    assert_eq!(sim.find_change(&web(), &call(2)).await.expect("asking"), Effect::DidNotHappen);
    assert_eq!((sim.executions(&call(1)), sim.executions(&call(2))), (1, 0));
    sim.power(&web(), PowerAction::Start, &call(3), Permit::unfenced()).await.expect("the fault is used up");
}

#[tokio::test]
async fn sim_holds_the_permit_until_the_request_has_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    let (before, after) = (Gate::closed(), Gate::closed());
    sim.faults().inject_once(None, Some(Action::Start), Kind::HoldBefore(before.clone()));
    sim.faults().inject_once(None, Some(Action::Start), Kind::HoldAfter(after.clone()));
    let (permit, section) = watched();
    let starting = tokio::spawn({
        let guest = sim.guest().expect("it has a guest channel");
        async move { guest.start(&web(), &call(1), &job("true"), permit).await }
    });
    tokio::time::timeout(TIMEOUT, before.arrived(1)).await.expect("it came to the gate");
    assert_eq!((Arc::strong_count(&section), sim.executions(&call(1))), (2, 0));
    before.open();
    tokio::time::timeout(TIMEOUT, after.arrived(1)).await.expect("it came to the second gate");
    assert_eq!((Arc::strong_count(&section), sim.executions(&call(1))), (1, 1));
    assert!(!starting.is_finished());
    after.open();
    starting.await.expect("joining").expect("starting");
}

#[tokio::test]
async fn sim_does_not_call_undone_what_still_waits_to_be_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    let gate = Gate::closed();
    sim.faults().inject(None, Some(Action::Power(PowerAction::Stop)), Kind::HoldBefore(gate.clone()));
    let (permit, section) = watched();
    let stopping = tokio::spawn({
        let sim = sim.clone();
        async move { sim.power(&web(), PowerAction::Stop, &call(1), permit).await }
    });
    tokio::time::timeout(TIMEOUT, gate.arrived(1)).await.expect("it came to the gate");
    assert_eq!(sim.find_change(&web(), &call(1)).await.expect("asking"), Effect::Running);
    stopping.abort();
    stopping.await.expect_err("it was aborted");
    assert_eq!(Arc::strong_count(&section), 1);
    assert_eq!(sim.find_change(&web(), &call(1)).await.expect("asking"), Effect::DidNotHappen);
}

#[tokio::test]
async fn sim_fails_as_it_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let sim = open(dir.path());
    let guest = sim.guest().expect("it has a guest channel");
    sim.faults().inject(Some(&web()), None, Kind::GuestSilent);
    let silent = guest.start(&web(), &call(1), &job("true"), Permit::unfenced()).await;
    assert!(matches!(silent, Err(ProviderError::GuestUnavailable(_))), "{silent:?}");
    assert!(sim.stats(&web()).await.expect("asking").live.is_none());
    sim.power(&web(), PowerAction::Reset, &call(2), Permit::unfenced()).await.expect("power needs no guest");
    sim.faults().clear();
    assert!(sim.stats(&web()).await.expect("asking").live.is_some());
    sim.faults().inject_once(None, Some(Action::Look), Kind::Unreachable);
    assert!(matches!(sim.list().await, Err(ProviderError::Unreachable(_))));
    sim.faults().inject_once(None, Some(Action::Power(PowerAction::Stop)), Kind::Fail("no".into()));
    let failed = sim.power(&web(), PowerAction::Stop, &call(3), Permit::unfenced()).await;
    assert!(matches!(failed, Err(ProviderError::Refused(text)) if text == "no"));
    assert_eq!(sim.executions(&call(3)), 0);
    let elsewhere = MachineRef("m2".into());
    assert!(matches!(sim.get(&elsewhere).await, Err(ProviderError::NotFound(_))));
}

#[tokio::test]
async fn sim_machine_is_called_by_its_new_name_everywhere_and_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (open(dir.path()), open(dir.path()));
    let name = "shop.example.com".parse().expect("a host name");
    one.rename(&web(), &name, &call(1), Permit::unfenced()).await.expect("renaming");
    for sim in [&one, &two] {
        let again = sim.rename(&web(), &"other".parse().expect("a host name"), &call(1), Permit::unfenced()).await;
        assert!(matches!(again, Err(ProviderError::State(_))), "{again:?}");
        let seen = sim.get(&web()).await.expect("getting");
        assert_eq!((seen.hostname.as_str(), seen.label.as_str()), ("shop.example.com", "web-1-sim"));
        assert_eq!(sim.find_change(&web(), &call(1)).await.expect("asking"), Effect::Happened);
    }
    assert_eq!(run(&two, &call(2), "hostname").await.1, "shop.example.com\n");
    drop((one, two));
    let sim = open(dir.path());
    assert_eq!(sim.list().await.expect("listing")[0].hostname, "shop.example.com");
    assert_eq!((sim.find_change(&web(), &call(1)).await.expect("asking"), sim.executions(&call(1))), (Effect::Happened, 1));
    let nobody = sim.rename(&MachineRef("m2".into()), &name, &call(3), Permit::unfenced()).await;
    assert!(matches!(nobody, Err(ProviderError::NotFound(_))), "{nobody:?}");
    assert_eq!(sim.find_change(&web(), &call(3)).await.expect("asking"), Effect::DidNotHappen);
}
