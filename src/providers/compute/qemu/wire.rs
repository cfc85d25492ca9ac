//! What QMP and the guest agent share: JSON lines over a Unix socket, and the point where a request counts as sent.
//!
//! INVARIANT: [`Fault::Lost`] is only said after the first byte of a request went out, every other fault only before or
//! after a complete answer. What the other end sends costs no more than an [`Allowance`] of bytes and lines and
//! [`MOST_PARTS`] values of a document, then the connection is closed: a guest's root speaks for its agent.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::providers::Permit;
use crate::providers::compute::ProviderError;

/// Where QEMU listens, in the directory of its machine.
pub(super) const QMP_SOCKET: &str = "qmp.sock";
/// The same of its guest's agent.
pub(super) const AGENT_SOCKET: &str = "agent.sock";

/// How much the other end may say before it has said what it was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) bytes: u64,
    pub(super) lines: u32,
}

/// Lists, objects and their members in an answer. A value takes a hundred times the room of its text.
const MOST_PARTS: usize = 1024;

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nobody listens; nothing was sent.
    Absent,
    /// It did not come to sending in time.
    Unsent(String),
    /// It was understood and refused.
    Refused(String),
    /// It was sent and the answer did not come.
    Lost(String),
}

impl Fault {
    /// The same for a request that changes nothing: there is no effect to be in doubt about.
    pub(super) fn of_question(self) -> Self {
        match self {
            Self::Lost(why) => Self::Unsent(why),
            other => other,
        }
    }

    /// As the port says it when the guest was asked.
    pub(super) fn of_guest(self) -> ProviderError {
        match self {
            Self::Absent => ProviderError::GuestUnavailable("the machine is off".into()),
            Self::Unsent(why) => ProviderError::GuestUnavailable(why.into()),
            Self::Refused(why) => ProviderError::Refused(why.into()),
            Self::Lost(why) => ProviderError::AnswerLost(why.into()),
        }
    }

    /// As the port says it when QEMU itself was asked.
    pub(super) fn of_machine(self) -> ProviderError {
        match self {
            Self::Absent => ProviderError::State("it is off".into()),
            Self::Unsent(why) => ProviderError::Unreachable(why.into()),
            Self::Refused(why) => ProviderError::Refused(why.into()),
            Self::Lost(why) => ProviderError::AnswerLost(why.into()),
        }
    }
}

/// A connection that speaks one JSON document a line.
pub(super) struct Line {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    left: Allowance,
    /// The process at the other end.
    pub(super) peer: Option<i32>,
}

impl Line {
    /// Connects to the socket `name` in `dir`, through the directory's descriptor: a path may be longer than the 108
    /// bytes that a socket address holds.
    pub(super) async fn connect(dir: &Path, name: &str) -> Result<Self, Fault> {
        let dir = File::open(dir).map_err(|_| Fault::Absent)?;
        let stream = match UnixStream::connect(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())).await {
            Ok(stream) => stream,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Err(Fault::Absent);
            }
            Err(e) => return Err(Fault::Unsent(format!("connecting: {e}"))),
        };
        let peer = stream.peer_cred().ok().and_then(|credentials| credentials.pid());
        let (reader, writer) = stream.into_split();
        Ok(Self { reader: BufReader::new(reader), writer, left: Allowance { bytes: 0, lines: 0 }, peer })
    }

    /// What the other end may say from now on.
    pub(super) fn allow(&mut self, allowance: Allowance) {
        self.left = allowance;
    }

    /// Whether it has said more than was taken from it.
    pub(super) fn has_more(&self) -> bool {
        !self.reader.buffer().is_empty()
    }

    /// The next line, as it came. `InvalidData` if there is more than it was allowed.
    pub(super) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let too_much = || io::Error::new(io::ErrorKind::InvalidData, "it says too much");
        self.left.lines = self.left.lines.checked_sub(1).ok_or_else(too_much)?;
        let mut line = Vec::new();
        (&mut self.reader).take(self.left.bytes).read_until(b'\n', &mut line).await?;
        self.left.bytes -= line.len() as u64;
        match line.last() {
            Some(b'\n') => Ok(line),
            _ if self.left.bytes == 0 => Err(too_much()),
            _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")),
        }
    }

    /// Sends `prefix` and one document, then lets the permit go: the request is out.
    pub(super) async fn send(&mut self, prefix: &[u8], document: &Value, permit: Option<Permit>) -> io::Result<()> {
        let mut bytes = prefix.to_vec();
        bytes.extend_from_slice(document.to_string().as_bytes());
        bytes.push(b'\n');
        let sent = self.writer.write_all(&bytes).await;
        drop(permit);
        sent
    }
}

/// A line as a document; nothing if it is none, or of more parts than an answer has.
pub(super) fn read_document(line: &[u8]) -> Option<Value> {
    let (mut parts, mut text, mut escaped) = (0, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'[' | b'{' | b',' if !text => parts += 1,
            _ => {}
        }
    }
    if parts > MOST_PARTS { None } else { serde_json::from_slice(line).ok() }
}

/// What an answer says: its `return`, or the text of its `error`. Absent if it is neither (an event, a greeting).
pub(super) fn read_answer(document: &Value) -> Option<Result<Value, Fault>> {
    if let Some(error) = document.get("error") {
        let text = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
        return Some(Err(Fault::Refused(text.to_owned())));
    }
    document.get("return").cloned().map(Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_of_too_many_parts_is_none() {
        let list = |count: usize| format!("{{\"return\":[{}1]}}\n", "0,".repeat(count));
        assert!(read_document(list(1000).as_bytes()).is_some());
        assert!(read_document(list(1_000_000).as_bytes()).is_none());
        let text = serde_json::json!({"return": "\\\"[,".repeat(5000)}).to_string();
        assert!(read_document(text.as_bytes()).is_some(), "what is in a text is no part");
        assert!(read_document("[".repeat(1000).as_bytes()).is_none());
    }
}
