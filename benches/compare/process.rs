//! What a server's processes cost, read from `/proc`: processor time, and peak resident memory.
//!
//! A server is its process and all descendants, so a pool of workers or of database backends counts whole. Shared memory
//! counts once for each process that has it.

use std::collections::BTreeMap;
use std::time::Duration;

/// `USER_HZ`, which Linux fixes at 100 for programs on every platform that we build for.
const TICK: Duration = Duration::from_millis(10);

/// The processes that `roots` are the heads of.
pub struct Tree {
    roots: Vec<u32>,
}

struct Stat {
    parent: u32,
    ticks: u32,
}

impl Tree {
    pub fn of(roots: impl IntoIterator<Item = u32>) -> Self {
        Self { roots: roots.into_iter().collect() }
    }

    /// Processor time so far, of those that have ended and were waited for as well.
    pub fn processor_time(&self) -> Duration {
        self.members().values().map(|stat| TICK * stat.ticks).sum()
    }

    /// Peak resident memory so far, in MiB: the peaks of those that live, together.
    pub fn peak_mib(&self) -> f64 {
        let kib = self.members().keys().filter_map(|pid| status(*pid, "VmHWM:")).sum::<u64>();
        kib as f64 / 1024.0
    }

    /// Resident memory now, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.members().keys().filter_map(|pid| status(*pid, "VmRSS:")).sum()
    }

    /// Bytes that were sent to the disk so far (proc_pid_io(5)).
    pub fn written(&self) -> u64 {
        let bytes = |pid: &u32| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
            text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse::<u64>().ok())
        };
        self.members().keys().filter_map(bytes).sum()
    }

    /// The processes that there are now.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.members().into_keys()
    }

    fn members(&self) -> BTreeMap<u32, Stat> {
        let mut all = all_processes();
        let belongs = |pid: u32| {
            let up = std::iter::successors(Some(pid), |pid| all.get(pid).map(|stat| stat.parent));
            up.take_while(|pid| *pid > 1).any(|pid| self.roots.contains(&pid))
        };
        let members: Vec<u32> = all.keys().copied().filter(|pid| belongs(*pid)).collect();
        members.into_iter().filter_map(|pid| Some((pid, all.remove(&pid)?))).collect()
    }
}

fn all_processes() -> BTreeMap<u32, Stat> {
    let entries = std::fs::read_dir("/proc").expect("read /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // One that ended meanwhile has no stat.
    pids.filter_map(|pid| Some((pid, stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)))).collect()
}

/// See proc_pid_stat(5). The second field may hold anything, so what follows its closing bracket is counted from there.
fn stat(text: &str) -> Stat {
    let (_, rest) = text.rsplit_once(") ").expect("a command in brackets");
    let fields: Vec<&str> = rest.split(' ').collect();
    let field = |number: usize| fields[number - 3].parse::<u32>().expect("a number");
    // In user and kernel mode, its own and those of the children it waited for.
    Stat { parent: field(4), ticks: (14..=17).map(field).sum() }
}

/// A figure of proc_pid_status(5), in KiB.
fn status(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
