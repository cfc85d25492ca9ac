//! Commands in a guest: they run, are tailed, end with their children or in time, and outlive a restart of ours.

use forelog::providers::Permit;
use forelog::providers::compute::{Compute, JobState, MachineRef, PowerAction, PowerState, ProviderError, Stream};

use super::{Bench, eventually, job};

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
async fn guest_ends_a_job_when_its_time_is_over() {
    let bench = Bench::on().await;
    let call = bench.start("trap '' TERM; echo begun; while :; do sleep 1; done", 2).await;
    let status = bench.wait(&call).await;
    assert_eq!((status.state, status.stdout_bytes), (JobState::TimedOut, 6));
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
