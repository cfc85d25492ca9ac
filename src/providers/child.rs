//! The processes that providers start on this host, all made here.
//!
//! INVARIANT: a child has nothing of ours: its environment holds a path and a language, its open files are the three that it
//! is given, its files are its owner's alone, it may leave no memory behind and gain no right. What it has to say is read up
//! to a bound. Our environment holds keys, and any process of the same user reads it in `/proc/PID/environ`.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rlimit::Resource;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Where programs are looked for, whatever our own path is.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How many files a child may have open.
const FILES: u64 = 1024;
/// How much of its error output is kept.
pub(super) const SAID: u64 = 16 * 1024;
/// How long a tool that is waited for may take, and how much of the processor.
const TOOL_TIME: Duration = Duration::from_mins(1);
/// The bit of `CAP_SETPCAP`: whoever has it may give up rights for good.
const SETPCAP: u64 = 1 << 8;

/// What a child may use.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// Seconds of processor; without, it runs as long as it likes.
    pub(super) processor_seconds: Option<u64>,
    /// Size of the largest file that it writes.
    pub(super) file_bytes: Option<u64>,
}

/// A command that starts `program` in `directory`, with nothing of ours. Its three streams lead nowhere.
pub(super) fn command(program: &str, directory: &Path, bounds: Bounds) -> Command {
    // What we open is closed in children; what we were started with is not, unless it is marked.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    let mut command = Command::new("sh");
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C").current_dir(directory);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.args(["-c", "umask 077; exec \"$@\"", "child", "prlimit", "--core=0:0"]);
    command.arg(bound("--nofile", Resource::NOFILE, FILES));
    if let Some(seconds) = bounds.processor_seconds {
        command.arg(bound("--cpu", Resource::CPU, seconds));
    }
    if let Some(bytes) = bounds.file_bytes {
        command.arg(bound("--fsize", Resource::FSIZE, bytes));
    }
    command.args(["setpriv", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all"]);
    if may_give_up() {
        // Root without capabilities owns its files and is otherwise anybody.
        command.arg("--bounding-set=-all");
    }
    command.arg(program);
    command
}

/// Both limits at once; one that is lower already stays.
fn bound(option: &str, resource: Resource, most: u64) -> String {
    let most = resource.get_hard().map_or(most, |hard| hard.min(most));
    format!("{option}={most}:{most}")
}

fn may_give_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:")).map(str::trim);
    held.and_then(|held| u64::from_str_radix(held, 16).ok()).is_some_and(|held| held & SETPCAP != 0)
}

/// Runs a tool to its end; answers how that was, and the beginning of what it wrote to its error output.
pub(super) async fn run(program: &str, directory: &Path, arguments: &[&str]) -> std::io::Result<(ExitStatus, String)> {
    let bounds = Bounds { processor_seconds: Some(TOOL_TIME.as_secs()), file_bytes: None };
    let mut command = command(program, directory, bounds);
    let mut child = command.args(arguments).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let stderr = child.stderr.take();
    let ended = timeout(TOOL_TIME, async {
        let mut text = Vec::new();
        if let Some(stderr) = stderr {
            stderr.take(SAID).read_to_end(&mut text).await?;
        }
        Ok((child.wait().await?, String::from_utf8_lossy(&text).into_owned()))
    });
    ended.await.unwrap_or_else(|_| Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "it took too long")))
}

/// Keeps the first [`SAID`] bytes of what a process says in `into`, and hangs up on the rest: a guest that makes its process
/// complain for ever must not fill this host's disk.
pub(super) fn keep(said: ChildStderr, mut into: File) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut said = said.take(SAID);
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = said.read(&mut piece).await {
            if into.write_all(piece.get(..read).unwrap_or_default()).is_err() {
                return;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(script: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let (ended, text) = run("sh", dir.path(), &["-c", script]).await.unwrap();
        assert!(ended.success(), "{script}: {text}");
        text
    }

    #[tokio::test]
    async fn child_has_nothing_of_ours() {
        let environment = told("tr '\\0' '\\n' </proc/$$/environ >&2").await;
        let mut names: Vec<_> = environment.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        names.sort_unstable();
        // A shell says where it is.
        assert_eq!(names, ["LC_ALL", "PATH", "PWD"]);

        // One that is not closed by itself in a child.
        let dir = tempfile::tempdir().unwrap();
        let inherited = File::create(dir.path().join("inherited")).unwrap();
        let flags = rustix::io::FdFlags::empty();
        rustix::io::fcntl_setfd(&inherited, flags).unwrap();
        let files = told("ls -l /proc/$$/fd >&2").await;
        assert!(!files.contains("inherited"), "{files}");

        assert_eq!(told("umask >&2").await.trim(), "0077");
        let limits = told("grep -E 'core file|open files' /proc/$$/limits >&2").await;
        assert!(limits.lines().all(|line| line.contains(" 0 ") || line.contains(" 1024 ")), "{limits}");
        let rights = told("grep -E 'NoNewPrivs|CapEff|CapInh|CapAmb' /proc/$$/status >&2").await;
        for line in rights.lines() {
            let (name, value) = line.split_once(':').unwrap();
            let expected = if name == "NoNewPrivs" { "1" } else { "0000000000000000" };
            assert_eq!(value.trim(), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn what_a_child_says_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let (_, text) = run("sh", dir.path(), &["-c", "yes >&2"]).await.unwrap();
        assert!(text.len() <= usize::try_from(SAID).unwrap());
        let (_, text) = run("sh", dir.path(), &["-c", "yes rubbish | head -c 400000 >&2"]).await.unwrap();
        assert_eq!(text.len(), usize::try_from(SAID).unwrap());
    }
}
