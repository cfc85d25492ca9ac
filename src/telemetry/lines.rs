//! Lines on standard error, written by a thread of their own: whoever reads the log may stand still, and nothing else does.
//!
//! INVARIANT: who logs never waits. What is not written yet is bounded; what does not fit is lost, is counted, and is said as
//! soon as lines are read again. What was given before [`Lines::end`] is written, if it is read within a second.
//!
//! It is ours, and not `tracing-appender`, because that one says on standard output that it could not end, which belongs to
//! answers and to MCP, and bounds lines but not their length.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::core::scrub::scrub_text;
use crate::core::visible::escape_hidden;

/// Lines that wait to be written.
const LINES: usize = 1024;

/// Bytes of them.
const BYTES: usize = 4 << 20;

/// How long the end waits for what is not written yet.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Standard error for log lines. One line comes in one piece.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    queue: SyncSender<Next>,
    tally: Arc<Tally>,
}

#[derive(Debug)]
enum Next {
    Line(Vec<u8>),
    End(SyncSender<()>),
}

#[derive(Debug)]
struct Tally {
    /// Bytes that wait.
    waiting: AtomicUsize,
    lost: Arc<AtomicU64>,
}

impl Lines {
    /// Begins to write; what is lost is counted in `lost`.
    pub(super) fn start(lost: Arc<AtomicU64>) -> io::Result<Self> {
        // Past the lock of the standard library: who holds that while he waits would stop everybody who has a last word.
        let out = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::onto(out, lost)
    }

    fn onto(out: impl Write + Send + 'static, lost: Arc<AtomicU64>) -> io::Result<Self> {
        let (queue, lines) = sync_channel(LINES);
        let tally = Arc::new(Tally { waiting: AtomicUsize::new(0), lost });
        let writer = Arc::clone(&tally);
        std::thread::Builder::new().name("log lines".into()).spawn(move || write(out, &lines, &writer))?;
        Ok(Self { queue, tally })
    }

    fn give(&self, line: Vec<u8>) {
        let size = line.len();
        let fits = self.tally.waiting.fetch_add(size, Ordering::Relaxed) + size <= BYTES;
        if !(fits && self.queue.try_send(Next::Line(line)).is_ok()) {
            self.tally.waiting.fetch_sub(size, Ordering::Relaxed);
            self.tally.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, bounded, until what was given is written.
    pub(super) fn end(&self) {
        let (say, heard) = sync_channel(1);
        // A queue that is full has nobody who writes.
        if self.queue.try_send(Next::End(say)).is_ok() {
            let _ = heard.recv_timeout(TIMEOUT);
        }
    }
}

/// Writes until all senders are gone. A write error is dropped: there is nowhere to report it.
fn write(mut out: impl Write, lines: &Receiver<Next>, tally: &Tally) {
    let mut told = 0;
    for next in lines {
        let lost = tally.lost.load(Ordering::Relaxed);
        if lost > told {
            let gap =
                serde_json::json!({ "level": "WARN", "message": "log lines were lost: nobody read them", "lost": lost - told });
            told = lost;
            let _ = out.write_all(format!("{gap}\n").as_bytes());
        }
        match next {
            Next::Line(line) => {
                let _ = out.write_all(&line);
                tally.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            }
            Next::End(say) => drop(say.send(())),
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (said, end) = text.strip_suffix('\n').map_or((&*text, ""), |said| (said, "\n"));
        let clean = scrub_text(said);
        // A document escapes what it holds; in a line for people it is written out.
        let shown = if clean.starts_with('{') { clean } else { escape_hidden(&clean) };
        self.give(format!("{shown}{end}").into_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says a last word on standard error, and waits for it no longer than for the lines.
pub fn last_word(text: String) {
    let (say, heard) = sync_channel(1);
    let spoken = std::thread::Builder::new().spawn(move || {
        eprintln!("{text}");
        say.send(())
    });
    if spoken.is_ok() {
        let _ = heard.recv_timeout(TIMEOUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing until it is told to.
    struct Still(Receiver<()>, SyncSender<Vec<u8>>);

    impl Write for Still {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_lost_counted_and_said() {
        let ((go, still), (into, written)) = (sync_channel(1), sync_channel(4 * LINES));
        let lost = Arc::new(AtomicU64::new(0));
        let mut lines = Lines::onto(Still(still, into), Arc::clone(&lost)).unwrap();
        for n in 0..3 * LINES {
            lines.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        let gone = lost.load(Ordering::Relaxed);
        assert!(gone >= u64::try_from(2 * LINES).unwrap() - 1, "{gone} lost");
        lines.write_all("x".repeat(BYTES + 1).as_bytes()).unwrap();
        assert_eq!(lost.load(Ordering::Relaxed), gone + 1, "one that is longer than all of them may be");
        drop(go);
        drop(lines);
        let text: Vec<u8> = written.iter().flatten().collect();
        let text = String::from_utf8(text).unwrap();
        let gap = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["lost"].as_u64();
        assert_eq!(text.lines().filter_map(gap).sum::<u64>(), gone + 1, "{}", &text[..200]);
        assert!(text.contains("line 0\n"), "{}", &text[..200]);
    }
}
