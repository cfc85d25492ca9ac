//! Starts and ends the QEMU process of a machine.
//!
//! The process is in a session of its own and outlives ours; it is found again through its sockets. A process is killed
//! only if the kernel says that it is a QEMU with this machine's arguments in this machine's directory.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::machines::{Machines, Record, unreadable};
use super::qmp;
use super::wire::{AGENT_SOCKET, Fault, QMP_SOCKET};
use crate::core::id::CallId;
use crate::log::private;
use crate::providers::Permit;
use crate::providers::child::{self, Bounds};
use crate::providers::compute::{MachineRef, ProviderError};

/// QEMU creates it when it comes up, and writes nothing to it: its absence proves that it did not come up.
pub(super) const STARTED: &str = "started";
/// The beginning of what QEMU says to its error output.
const LOG: &str = "qemu.log";
/// The guest's console, as QEMU calls it.
pub(super) const CONSOLE: &str = "console";

pub(super) const CONSOLE_SIZE: u32 = 64 * 1024;

const POLL: Duration = Duration::from_millis(20);
const LONGEST_POLL: Duration = Duration::from_millis(200);
const COME_UP: Duration = Duration::from_secs(30);
const GO_AWAY: Duration = Duration::from_secs(10);

/// What a process is called: whoever finds it knows which call started it.
pub(super) fn name_process(machine: &MachineRef, call: &CallId) -> String {
    format!("{}:{call}", machine.0)
}

/// Starts the machine's process and returns when it answers.
pub(super) async fn start(machines: &Machines, machine: &MachineRef, call: &CallId, permit: Permit) -> Result<(), ProviderError> {
    let home = machines.find(machine)?;
    let name = name_process(machine, call);
    let record = machines.read(machine)?;
    let arguments = [
        machines.accelerator().await?.arguments().iter().map(ToString::to_string).collect(),
        describe(machines, machine, &home, &record, &name)?,
    ];
    let log = private::create(&home.join(LOG)).map_err(unreadable)?;
    let bounds = Bounds { processor_seconds: None, file_bytes: Some(largest_file(record.spec.disk_gib)) };
    let mut command = child::command("setsid", &home, bounds);
    let spawned = command.arg("qemu-system-x86_64").args(arguments.concat()).stderr(Stdio::piped()).spawn();
    drop(permit);
    let mut child = spawned.map_err(|e| ProviderError::Refused(format!("starting QEMU: {e}").into()))?;
    let kept = child.stderr.take().map(|said| child::keep(said, log));
    timeout(COME_UP, await_answer(child, kept, &home, &name))
        .await
        .unwrap_or_else(|_| Err(ProviderError::AnswerLost("QEMU was started and does not answer".into())))
}

/// A disk that is full, with what its format adds.
fn largest_file(disk_gib: u32) -> u64 {
    let disk = u64::from(disk_gib) << 30;
    disk + disk / 8 + (1 << 30)
}

async fn await_answer(mut child: Child, kept: Option<JoinHandle<()>>, home: &Path, name: &str) -> Result<(), ProviderError> {
    let mut pause = POLL;
    loop {
        if let Ok(Some(_)) = child.try_wait() {
            // Its last words are there once the pipe has ended.
            if let Some(kept) = kept {
                let _ = kept.await;
            }
            let log = std::fs::read(home.join(LOG)).unwrap_or_default();
            return Err(ProviderError::Refused(format!("QEMU ended: {}", String::from_utf8_lossy(&log)).into()));
        }
        if qmp::inspect(home).await.is_ok_and(|process| process.name.as_deref() == Some(name)) {
            return Ok(());
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_POLL);
    }
}

/// The machine as QEMU's arguments. Sockets are named relative to its directory, because a socket's address is short.
fn describe(
    machines: &Machines,
    machine: &MachineRef,
    home: &Path,
    record: &Record,
    name: &str,
) -> Result<Vec<String>, ProviderError> {
    // QEMU reads a comma as the end of a value; doubled, it is one.
    let path = |path: &Path| path.display().to_string().replace(',', ",,");
    let boot =
        format!("console=ttyS0 quiet panic=-1 forelog.ipv4={} forelog.name={}", record.address(), record.hostname(machine));
    let kernel = machines.image.resolve("vmlinuz")?.display().to_string();
    let initrd = machines.image.resolve("initrd.img")?.display().to_string();
    let (memory, processors) = (record.spec.memory_mib.to_string(), record.spec.vcpu.to_string());
    let started = format!("file,id=started,path={}", path(&home.join(STARTED)));
    // In memory: a guest that writes to it for ever must not fill this host's disk.
    let console = format!("ringbuf,id={CONSOLE},size={CONSOLE_SIZE}");
    let network = format!("user,id=net0,restrict=on,net={}", record.subnet());
    let disk =
        format!("driver=qcow2,node-name=disk0,discard=unmap,file.driver=file,file.filename={}", path(&home.join("disk.qcow2")));
    let qmp = qmp_argument();
    let agent = format!("socket,id=agent,path={AGENT_SOCKET},server=on,wait=off");
    let arguments = [
        ["-name", name],
        // microvm boots faster and sometimes hangs there without KVM.
        ["-M", "q35"],
        ["-m", &memory],
        ["-smp", &processors],
        ["-display", "none"],
        ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
        ["-kernel", &kernel],
        ["-initrd", &initrd],
        ["-append", &boot],
        ["-chardev", &started],
        ["-chardev", &console],
        ["-serial", "chardev:console"],
        ["-qmp", &qmp],
        ["-device", "virtio-serial-pci"],
        ["-chardev", &agent],
        ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
        // Without restrict=on the guest reaches every loopback service of this host.
        ["-netdev", &network],
        ["-device", "virtio-net-pci,netdev=net0"],
        ["-blockdev", &disk],
        ["-device", "virtio-blk-pci,drive=disk0"],
        ["-device", "virtio-rng-pci"],
    ];
    let switches = ["-nodefaults", "-no-user-config"].map(str::to_owned);
    Ok(switches.into_iter().chain(arguments.into_iter().flatten().map(str::to_owned)).collect())
}

/// Cuts the power: asks QEMU to end, and kills it if it does not answer. Returns when it is gone.
pub(super) async fn end(home: &Path, permit: Permit) -> Result<(), ProviderError> {
    let Some(pid) = find(home) else {
        return Err(ProviderError::State("it is off".into()));
    };
    // Held past the first request: the second does the same by force.
    let asked = qmp::execute(home, "quit", json!({}), None).await;
    if matches!(asked, Ok(_) | Err(Fault::Absent)) && await_end(pid, GO_AWAY).await {
        return Ok(());
    }
    kill(home, pid)?;
    drop(permit);
    if await_end(pid, GO_AWAY).await { Ok(()) } else { Err(ProviderError::AnswerLost("QEMU does not end".into())) }
}

/// Waits at most `at_most` for a process to be gone.
pub(super) async fn await_end(pid: i32, at_most: Duration) -> bool {
    timeout(at_most, async {
        while is_alive(pid) {
            sleep(POLL).await;
        }
    })
    .await
    .is_ok()
}

/// The machine's process, even if it does not answer: its socket cannot be asked once a few callers wait there.
pub(super) fn find(home: &Path) -> Option<i32> {
    let home = home.canonicalize().ok()?;
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    processes.into_iter().find(|pid| {
        let started_there = std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == home);
        let arguments = || std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        started_there && arguments().split('\0').any(|argument| argument == qmp_argument()) && is_alive(*pid)
    })
}

fn qmp_argument() -> String {
    format!("unix:{QMP_SOCKET},server=on,wait=off")
}

fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| has_threads(&stat))
}

/// What `/proc/PID/stat` says of its threads. A process that ended and was not yet collected by its parent counts as gone.
/// One whose first thread ended does not while another is still there: that one holds the sockets and the disk.
fn has_threads(stat: &str) -> bool {
    let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let (state, threads) = (fields.next().unwrap_or_default(), fields.nth(16));
    match state {
        "" | "X" => false,
        "Z" => threads.is_some_and(|threads| threads != "0" && threads != "1"),
        _ => true,
    }
}

fn kill(home: &Path, pid: i32) -> Result<(), ProviderError> {
    // A pid alone may by now be a stranger's.
    if find(home) != Some(pid) {
        return Ok(());
    }
    let killed = Pid::from_raw(pid).map_or(Ok(()), |pid| kill_process(pid, Signal::KILL));
    killed.map_err(|e| ProviderError::AnswerLost(format!("killing QEMU: {e}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_is_gone_with_its_last_thread_and_not_with_its_first() {
        let stat = |state: &str, threads: u32| {
            format!("7 (qemu) Z (x) {state} 1 7 7 0 -1 4227340 0 0 0 0 1 1 0 0 20 0 {threads} 0 59 0 0 1844 0 0 0 0 0 0\n")
        };
        assert!(has_threads(&stat("S", 4)));
        assert!(has_threads(&stat("T", 1)), "a process that is stopped");
        assert!(has_threads(&stat("Z", 2)), "its processors still end, and hold its sockets");
        assert!(!has_threads(&stat("Z", 1)), "it is not collected yet");
        assert!(!has_threads(&stat("X", 1)));
        assert!(!has_threads(""));
    }
}
