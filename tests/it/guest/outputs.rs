//! What a command of a guest writes: apart, whole, capped, and forgotten in time.

use forelog::providers::Permit;
use forelog::providers::compute::{JobSpec, JobState, JobStatus, ProviderError, Stream};

use super::{Bench, job};

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
