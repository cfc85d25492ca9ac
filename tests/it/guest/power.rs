//! Power of a guest: switched as asked, and told rightly over crashes, pauses and hangs of what is between.

use std::time::Duration;

use forelog::providers::Permit;
use forelog::providers::compute::{Compute, Effect, JobState, PowerAction, PowerState, ProviderError, Stream};
use tokio::time::timeout;

use super::{Bench, eventually, find_process, job, qmp, signal};

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
