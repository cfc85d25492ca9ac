//! Which processes hold a lock on a file, by what the kernel says: whoever waits for one is told for whom.
//!
//! INVARIANT: looking takes no lock, opens no database and changes nothing. Where the kernel does not tell, as in another
//! container or on another system than Linux, nobody is named rather than somebody else.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where the kernel lists the locks of files.
const LOCKS: &str = "/proc/locks";

/// The byte of `log.db-shm` that whoever writes to a database in WAL mode has locked.
const WAL_WRITE: u64 = 120;

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its program, as the kernel shortens it.
    pub command: String,
    /// It was stopped, and goes on only when it is told to.
    pub is_stopped: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_stopped { ", which is stopped" } else { "" };
        write!(f, "{} (pid {}){state}", self.command, self.pid)
    }
}

/// Several of them, as a text reads.
#[must_use]
pub fn named(holders: &[Holder]) -> String {
    let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
    if names.is_empty() { "another process".to_owned() } else { names.join(" and ") }
}

/// Who holds a lock on the file or directory as a whole (`flock`).
#[must_use]
pub fn of(path: &Path) -> Vec<Holder> {
    locks_of(path, |lock| lock.kind == "FLOCK")
}

/// Who holds the write lock of a SQLite database in WAL mode.
#[must_use]
pub fn of_sqlite(file: &Path) -> Vec<Holder> {
    let mut shared = file.as_os_str().to_owned();
    shared.push("-shm");
    let writes = |lock: &Lock<'_>| lock.is_write && lock.first <= WAL_WRITE && WAL_WRITE <= lock.last;
    locks_of(Path::new(&shared), writes)
}

fn locks_of(path: &Path, counts: impl Fn(&Lock<'_>) -> bool) -> Vec<Holder> {
    let (Ok(about), Ok(list)) = (std::fs::metadata(path), std::fs::read_to_string(LOCKS)) else { return Vec::new() };
    let mut holders: Vec<Holder> = Vec::new();
    for lock in list.lines().filter_map(Lock::read) {
        let is_named = holders.iter().any(|holder| holder.pid == lock.pid);
        if lock.inode == about.ino() && counts(&lock) && !is_named && has_open(lock.pid, &about) {
            holders.extend(about_process(lock.pid));
        }
    }
    holders
}

/// Whether the process has that very file open: numbers of files are the same on several file systems. Where it is not
/// shown to us what it has open, the number decides.
fn has_open(pid: u32, about: &Metadata) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return true };
    open.flatten()
        .filter_map(|entry| std::fs::metadata(entry.path()).ok())
        .any(|file| file.ino() == about.ino() && file.dev() == about.dev())
}

fn about_process(pid: u32) -> Option<Holder> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything, brackets too.
    let (before, after) = stat.rsplit_once(')')?;
    let command = before.split_once('(')?.1.escape_debug().to_string();
    let is_stopped = matches!(after.trim_start().chars().next(), Some('T' | 't'));
    Some(Holder { pid, command, is_stopped })
}

/// One line of the kernel's list.
#[derive(Debug, PartialEq, Eq)]
struct Lock<'l> {
    kind: &'l str,
    is_write: bool,
    pid: u32,
    inode: u64,
    first: u64,
    last: u64,
}

impl<'l> Lock<'l> {
    /// None for whoever only waits for one, and for what no process holds.
    fn read(line: &'l str) -> Option<Self> {
        let mut fields = line.split_whitespace().skip(1);
        let kind = fields.next().filter(|kind| *kind != "->")?;
        let is_write = fields.nth(1)? == "WRITE";
        let pid = fields.next()?.parse().ok().filter(|pid| *pid > 0)?;
        let inode = fields.next()?.rsplit(':').next()?.parse().ok()?;
        let first = fields.next()?.parse().ok()?;
        let last = fields.next().map_or(Some(u64::MAX), |last| if last == "EOF" { Some(u64::MAX) } else { last.parse().ok() })?;
        Some(Self { kind, is_write, pid, inode, first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read_line_by_line() {
        let lock = Lock::read("3: POSIX  ADVISORY  WRITE 812 fd:01:2531452 120 120").unwrap();
        assert_eq!(lock, Lock { kind: "POSIX", is_write: true, pid: 812, inode: 2_531_452, first: 120, last: 120 });
        let lock = Lock::read("12: FLOCK  ADVISORY  READ 7 00:2b:99 0 EOF").unwrap();
        assert_eq!((lock.kind, lock.is_write, lock.last), ("FLOCK", false, u64::MAX));
        for none in ["3: -> POSIX  ADVISORY  WRITE 812 fd:01:2531452 0 EOF", "4: OFDLCK ADVISORY READ -1 00:1:5 0 0", "", "5:"] {
            assert_eq!(Lock::read(none), None, "{none}");
        }
    }

    #[test]
    fn who_holds_a_lock_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(of(dir.path()), []);
        let held = std::fs::File::open(dir.path()).unwrap();
        held.try_lock().unwrap();
        let holders = of(dir.path());
        assert_eq!(holders.iter().map(|holder| holder.pid).collect::<Vec<_>>(), [std::process::id()]);
        assert!(named(&holders).contains("(pid ") && !holders[0].is_stopped, "{holders:?}");
        assert_eq!(named(&[]), "another process");
    }
}
