//! What QMP and the guest agent share: JSON lines over a Unix socket, and the point where a request counts as sent.
//!
//! INVARIANT: [`Fault::Lost`] is only said after the first byte of a request went out, every other fault only before or
//! after a complete answer. Nothing the other end sends can make us hold more than [`LONGEST_LINE`]: a guest's root
//! speaks for its agent.

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

/// Twice what the largest read makes in base 64, and to spare.
const LONGEST_LINE: u64 = 4 << 20;

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
            Self::Unsent(why) => ProviderError::GuestUnavailable(why),
            Self::Refused(why) => ProviderError::Refused(why),
            Self::Lost(why) => ProviderError::AnswerLost(why),
        }
    }

    /// As the port says it when QEMU itself was asked.
    pub(super) fn of_machine(self) -> ProviderError {
        match self {
            Self::Absent => ProviderError::State("it is off".into()),
            Self::Unsent(why) => ProviderError::Unreachable(why),
            Self::Refused(why) => ProviderError::Refused(why),
            Self::Lost(why) => ProviderError::AnswerLost(why),
        }
    }
}

/// A connection that speaks one JSON document a line.
pub(super) struct Line {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
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
        Ok(Self { reader: BufReader::new(reader), writer, peer })
    }

    /// The next line, as it came.
    pub(super) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
        if line.last() == Some(&b'\n') {
            return Ok(line);
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed, or a line does not end"))
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

/// What an answer says: its `return`, or the text of its `error`. Absent if it is neither (an event, a greeting).
pub(super) fn read_answer(document: &Value) -> Option<Result<Value, Fault>> {
    if let Some(error) = document.get("error") {
        let text = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
        return Some(Err(Fault::Refused(text.to_owned())));
    }
    document.get("return").cloned().map(Ok)
}
