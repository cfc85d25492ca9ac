//! Client of the QEMU guest agent.
//!
//! INVARIANT: a connection is kept only after a complete answer; any doubt drops it. A request that a paused or booting
//! guest answers late can then never be taken for the answer to another, because each new connection begins with
//! `guest-sync-delimited`. A guest that talks rubbish is left alone for a while: it costs a bounded read now and then.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::wire::{Allowance, Fault, Line, read_answer, read_document};
use crate::core::time::Clock;
use crate::providers::Permit;

/// How long the guest may take to say that it listens.
const LISTEN: Duration = Duration::from_secs(3);
/// How long one request to a guest that listens may take.
const ANSWER: Duration = Duration::from_secs(20);
/// The agent does one thing at a time; larger reads would make all others wait.
pub(super) const CHUNK: u32 = 1 << 20;
/// What may lie on a line before the mark: an answer that nobody waited for any more.
const STALE: Allowance = Allowance { bytes: LARGE.bytes, lines: 64 };
/// An answer: a read of [`CHUNK`] bytes in base 64 and to spare, or anything else.
const LARGE: Allowance = Allowance { bytes: 2 << 20, lines: 1 };
const SMALL: Allowance = Allowance { bytes: 256 << 10, lines: 1 };
/// How long a guest is left alone that has talked rubbish: at first, and at last if it goes on.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How a program in the guest ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i64,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// The agent of one machine.
pub(super) struct Agent {
    dir: PathBuf,
    line: Mutex<Option<Line>>,
    marks: AtomicI64,
    clock: Arc<dyn Clock>,
    shunned: std::sync::Mutex<Shunned>,
}

/// Until when, by `Clock::elapsed`, a guest is left alone, and for how long that was decided.
#[derive(Default)]
struct Shunned {
    until: Duration,
    pause: Duration,
}

impl Agent {
    pub(super) fn new(dir: PathBuf, clock: Arc<dyn Clock>) -> Self {
        let marks = AtomicI64::new(clock.now().0);
        Self { dir, line: Mutex::new(None), marks, clock, shunned: std::sync::Mutex::default() }
    }

    fn shunned(&self) -> std::sync::MutexGuard<'_, Shunned> {
        self.shunned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is read from a guest that is being left alone.
    fn is_heard(&self) -> Result<(), Fault> {
        if self.clock.elapsed() < self.shunned().until {
            return Err(Fault::Unsent("the guest agent talks rubbish and is left alone for a while".into()));
        }
        Ok(())
    }

    /// Leaves the guest alone, each time for twice as long.
    fn shun(&self) {
        let mut shunned = self.shunned();
        shunned.pause = (shunned.pause * 2).clamp(PAUSE, LONGEST_PAUSE);
        shunned.until = self.clock.elapsed() + shunned.pause;
        tracing::warn!(machine = %self.dir.display(), for_seconds = shunned.pause.as_secs(), "a guest agent talks rubbish");
    }

    /// What reading failed with; saying too much is rubbish.
    fn failed(&self, error: &std::io::Error) -> String {
        if error.kind() == std::io::ErrorKind::InvalidData {
            self.shun();
        }
        format!("talking to the guest agent: {error}")
    }

    /// Whether the guest listens, asked on the wire, waiting at most `at_most`.
    pub(super) async fn listens(&self, at_most: Duration) -> Result<(), Fault> {
        timeout(at_most, async {
            let mut held = self.line.lock().await;
            self.is_heard()?;
            let line = self.sync(held.take()).await?;
            *held = Some(line);
            Ok(())
        })
        .await
        .unwrap_or_else(|_| Err(Fault::Unsent("no answer from the guest agent".into())))
    }

    /// One request. The guest is asked whether it listens first, so that a deaf guest is told apart from a lost answer.
    pub(super) async fn call(&self, command: &str, arguments: Value, permit: Option<Permit>) -> Result<Value, Fault> {
        self.exchange(command, arguments, permit, true).await
    }

    /// A request that has no answer when it works.
    pub(super) async fn send_only(&self, command: &str, arguments: Value, permit: Permit) -> Result<(), Fault> {
        self.exchange(command, arguments, Some(permit), false).await.map(|_| ())
    }

    async fn exchange(&self, command: &str, arguments: Value, permit: Option<Permit>, answered: bool) -> Result<Value, Fault> {
        let sent = AtomicBool::new(false);
        let work = async {
            let mut held =
                timeout(ANSWER, self.line.lock()).await.map_err(|_| Fault::Unsent("the guest agent is busy".into()))?;
            self.is_heard()?;
            let synced = timeout(LISTEN, self.sync(held.take())).await;
            let mut line = synced.map_err(|_| Fault::Unsent("no answer from the guest agent".into()))??;
            let request = json!({"execute": command, "arguments": arguments});
            sent.store(true, Ordering::Relaxed);
            line.allow(if command == "guest-file-read" { LARGE } else { SMALL });
            line.send(&[], &request, permit).await.map_err(|e| Fault::Lost(self.failed(&e)))?;
            if !answered {
                return refusal_within(&mut line, Duration::from_millis(300)).await;
            }
            let bytes = timeout(ANSWER, line.receive()).await.map_err(|_| Fault::Lost(format!("{command} was not answered")))?;
            let bytes = bytes.map_err(|e| Fault::Lost(self.failed(&e)))?;
            let Some(answer) = read_document(&bytes).as_ref().and_then(read_answer) else {
                self.shun();
                return Err(Fault::Lost("not an answer".into()));
            };
            *self.shunned() = Shunned::default();
            // What it says unasked belongs to nothing: it goes with the connection.
            *held = Some(line).filter(|line| !line.has_more());
            answer
        };
        let Ok(result) = timeout(ANSWER + ANSWER, work).await else {
            let why = format!("{command} took too long");
            return Err(if sent.load(Ordering::Relaxed) { Fault::Lost(why) } else { Fault::Unsent(why) });
        };
        result
    }

    /// A connection on which everything that came before is done with.
    async fn sync(&self, line: Option<Line>) -> Result<Line, Fault> {
        if let Some(line) = line
            && let Ok(line) = self.mark(line).await
        {
            return Ok(line);
        }
        // The old connection may have ended with the old process.
        self.mark(Line::connect(&self.dir, super::wire::AGENT_SOCKET).await?).await
    }

    async fn mark(&self, mut line: Line) -> Result<Line, Fault> {
        let mark = self.marks.fetch_add(1, Ordering::Relaxed);
        let unsent = |e: std::io::Error| Fault::Unsent(self.failed(&e));
        line.allow(STALE);
        // 0xFF ends whatever half a request its parser holds; the answer begins with it too.
        line.send(&[0xff], &json!({"execute": "guest-sync-delimited", "arguments": {"id": mark}}), None).await.map_err(unsent)?;
        loop {
            let bytes = line.receive().await.map_err(unsent)?;
            let Some(document) = bytes.rsplit(|byte| *byte == 0xff).next().filter(|rest| rest.len() < bytes.len()) else {
                continue;
            };
            if read_document(document).is_some_and(|answer| answer.get("return") == Some(&json!(mark))) {
                return Ok(line);
            }
        }
    }

    /// Runs a program to its end; it must be short. `AnswerLost` is said once the request was sent.
    pub(super) async fn run(&self, arguments: &[&str], input: &[u8], permit: Option<Permit>) -> Result<Ended, Fault> {
        let request = json!({"path": "/bin/sh", "arg": arguments, "input-data": BASE64.encode(input), "capture-output": true});
        let started = self.call("guest-exec", request, permit).await?;
        let pid = started.get("pid").cloned().unwrap_or(Value::Null);
        let mut pause = Duration::from_millis(5);
        let ended = timeout(ANSWER, async {
            loop {
                // From here on the program runs: whatever fails, its end is what was lost.
                let status = self.call("guest-exec-status", json!({"pid": pid}), None).await.map_err(after_sending)?;
                if status.get("exited") == Some(&Value::Bool(true)) {
                    return Ok(read_end(&status));
                }
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(100));
            }
        });
        ended.await.unwrap_or_else(|_| Err(Fault::Lost("the program in the guest did not end".into())))
    }

    /// At most `max` bytes of a file from `offset`.
    pub(super) async fn read_file(&self, path: &str, offset: u64, max: u32) -> Result<Vec<u8>, Fault> {
        let handle = self.call("guest-file-open", json!({"path": path, "mode": "r"}), None).await?;
        let bytes = self.read_handle(&handle, offset, max.min(CHUNK)).await;
        let closed = self.call("guest-file-close", json!({"handle": handle}), None).await;
        closed.and(bytes)
    }

    async fn read_handle(&self, handle: &Value, offset: u64, max: u32) -> Result<Vec<u8>, Fault> {
        if offset > 0 {
            self.call("guest-file-seek", json!({"handle": handle, "offset": offset, "whence": "set"}), None).await?;
        }
        let answer = self.call("guest-file-read", json!({"handle": handle, "count": max}), None).await?;
        let text = answer.get("buf-b64").and_then(Value::as_str).unwrap_or_default();
        let mut bytes = BASE64.decode(text).map_err(|e| Fault::Lost(format!("reading a file in the guest: {e}")))?;
        bytes.truncate(max as usize);
        Ok(bytes)
    }

    /// A small file of the guest, as text.
    pub(super) async fn read_text(&self, path: &str) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(&self.read_file(path, 0, 64 * 1024).await?).into_owned())
    }
}

/// Silence means consent: the agent says nothing to a shutdown it obeys. The line is not kept.
async fn refusal_within(line: &mut Line, at_most: Duration) -> Result<Value, Fault> {
    let Ok(Ok(bytes)) = timeout(at_most, line.receive()).await else {
        return Ok(Value::Null);
    };
    let document = read_document(&bytes).unwrap_or(Value::Null);
    read_answer(&document).unwrap_or(Ok(Value::Null))
}

fn after_sending(fault: Fault) -> Fault {
    match fault {
        Fault::Absent => Fault::Lost("the machine went off".into()),
        Fault::Unsent(why) | Fault::Refused(why) | Fault::Lost(why) => Fault::Lost(why),
    }
}

fn read_end(status: &Value) -> Ended {
    let text = |name: &str| {
        let bytes = BASE64.decode(status.get(name).and_then(Value::as_str).unwrap_or_default()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let signal = status.get("signal").and_then(Value::as_i64).map(|signal| 128 + signal);
    let code = status.get("exitcode").and_then(Value::as_i64).or(signal).unwrap_or(-1);
    Ended { code, stdout: text("out-data"), stderr: text("err-data") }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixListener;

    use super::*;

    /// Stands still.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> crate::core::time::Micros {
            crate::core::time::Micros(100)
        }

        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
    }

    /// An agent that answers each line by what `answer` makes of its number and its document, and hangs up on `None`.
    fn serve(answer: impl Fn(usize, &Value) -> Option<Vec<u8>> + Send + 'static) -> (tempfile::TempDir, Agent) {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(crate::providers::compute::qemu::wire::AGENT_SOCKET)).unwrap();
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let mut line = Vec::new();
                while stream.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                    let start = usize::from(line.first() == Some(&0xff));
                    let Some(bytes) = answer(number, &serde_json::from_slice(&line[start..]).unwrap()) else { break };
                    stream.write_all(&bytes).await.unwrap();
                    number += 1;
                    line.clear();
                }
            }
        });
        let agent = Agent::new(dir.path().to_owned(), Arc::new(Still));
        (dir, agent)
    }

    fn synced(document: &Value) -> Option<Vec<u8>> {
        let mark = document.get("arguments")?.get("id")?;
        Some([&[0xff], json!({"return": mark}).to_string().as_bytes(), b"\n"].concat())
    }

    #[tokio::test]
    async fn answers_that_come_late_are_never_taken_for_another() {
        let (_dir, agent) = serve(|number, document| match number {
            // What an earlier client asked, answered before the mark.
            0 => Some([b"{\"return\":{\"pid\":1}}\n".to_vec(), synced(document)?].concat()),
            _ => synced(document).or_else(|| Some(b"{\"return\":{\"pid\":2}}\n".to_vec())),
        });
        let answer = agent.call("guest-exec", json!({}), None).await.unwrap();
        assert_eq!(answer, json!({"pid": 2}));
    }

    #[tokio::test]
    async fn answer_that_is_lost_is_told_from_a_request_that_was_not_sent() {
        let (_dir, agent) = serve(|_, document| synced(document));
        assert!(matches!(agent.call("guest-exec", json!({}), None).await, Err(Fault::Lost(_))));
        let (_dir, agent) = serve(|_, _| None);
        assert!(matches!(agent.call("guest-exec", json!({}), None).await, Err(Fault::Unsent(_))));
        let agent = Agent::new("/nowhere".into(), Arc::new(Still));
        assert!(matches!(agent.call("guest-exec", json!({}), None).await, Err(Fault::Absent)));
    }

    #[tokio::test]
    async fn permit_is_held_until_the_request_is_out_and_not_until_its_answer() {
        let section = Arc::new(());
        let (weak, counts) = (Arc::downgrade(&section), Arc::new(std::sync::Mutex::new(Vec::new())));
        let seen = Arc::clone(&counts);
        let (_dir, agent) = serve(move |_, document| {
            seen.lock().unwrap().push(weak.strong_count());
            synced(document).or_else(|| Some(b"{\"return\":{}}\n".to_vec()))
        });
        // One thread: when the server sees the request, the client has gone on to wait for the answer.
        agent.call("guest-exec", json!({}), Some(Permit::holding(section))).await.unwrap();
        assert_eq!(*counts.lock().unwrap(), [1, 0]);
    }

    #[tokio::test]
    async fn line_that_never_ends_is_cut_off() {
        let (_dir, agent) = serve(|_, document| synced(document).or_else(|| Some(vec![b'x'; 8 << 20])));
        assert!(matches!(agent.call("guest-exec", json!({}), None).await, Err(Fault::Lost(_))));
    }
}
