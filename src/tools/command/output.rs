//! What a command wrote: pieces by offset as text, and the record that is kept of all of it.
//!
//! INVARIANT: a piece never ends inside a character of UTF-8, so that pieces put together are the whole. What is recorded of
//! a piece is scrubbed with what stands before and after it, however it was cut (P10).

use std::ops::Range;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::core::id::CallId;
use crate::core::scrub::find::{Edges, secrets};
use crate::core::scrub::{AROUND, ScrubbedText, scrub_piece};
use crate::providers::compute::{GuestJobs, MachineRef, ProviderError, Stream};

/// How much of either end is recorded.
const END: usize = 4 * 1024;

/// How much is read after a piece, for what is recorded of it.
const AFTER: u32 = 32 * 1024;

/// Bytes that are asked for at a time.
const CHUNK: u32 = 64 * 1024;

/// What the guest keeps of an output at most.
const SPOOL: u64 = 64 * 1024 * 1024;

/// How long reading one output whole may take before its digest is given up.
const TIMEOUT: Duration = Duration::from_mins(1);

impl Piece {
    /// Whether all of it is recorded as it is.
    pub(in crate::tools) fn is_plain(&self) -> bool {
        self.text == self.record.as_str()
    }
}

/// One output of one command.
pub(in crate::tools) struct Source<'a> {
    pub(in crate::tools) guest: &'a dyn GuestJobs,
    pub(in crate::tools) machine: &'a MachineRef,
    pub(in crate::tools) call: &'a CallId,
    pub(in crate::tools) stream: Stream,
}

/// A piece of an output.
pub(in crate::tools) struct Piece {
    /// As text; what is not UTF-8 is replaced.
    pub(in crate::tools) text: String,
    /// What is recorded of it: secrets are not, nor the part of one that is in it.
    pub(in crate::tools) record: ScrubbedText,
    /// Nothing had to be replaced.
    pub(in crate::tools) utf8: bool,
    /// Where the next piece begins.
    pub(in crate::tools) next: u64,
}

impl Source<'_> {
    /// At most `most` bytes from `offset`, of an output that has `size` bytes now.
    pub(in crate::tools) async fn piece(&self, offset: u64, most: u32, size: u64) -> Result<Piece, ProviderError> {
        let window = self.window(offset, most).await?;
        let end = offset.saturating_add(window.piece().len() as u64);
        let kept = if end < size { whole_characters(window.piece()).len() } else { window.piece().len() };
        Ok(window.answered_piece(0..kept, offset.saturating_add(kept as u64)))
    }

    /// The last `most` bytes of an output that has `size` bytes now.
    pub(in crate::tools) async fn tail(&self, most: u32, size: u64) -> Result<Piece, ProviderError> {
        let offset = size.saturating_sub(u64::from(most));
        let window = self.window(offset, most).await?;
        let length = window.piece().len();
        let skipped = if offset > 0 { length - from_character(window.piece()).len() } else { 0 };
        Ok(window.answered_piece(skipped..length, offset.saturating_add(length as u64)))
    }

    /// A piece with what stands around it.
    async fn window(&self, offset: u64, most: u32) -> Result<Window, ProviderError> {
        if most == 0 {
            return Ok(Window { bytes: Vec::new(), piece: 0..0, torn: false });
        }
        let start = offset.saturating_sub(AROUND as u64);
        let before = u32::try_from(offset - start).unwrap_or_default();
        let bytes = self.read(start, before.saturating_add(most).saturating_add(AFTER)).await?;
        let begin = bytes.len().min(before as usize);
        let end = bytes.len().min(begin.saturating_add(most as usize));
        Ok(Window { bytes, piece: begin..end, torn: start > 0 })
    }

    /// Providers may answer less than was asked for, and nothing at the end.
    async fn read(&self, offset: u64, most: u32) -> Result<Vec<u8>, ProviderError> {
        let mut bytes = Vec::new();
        let mut left = most;
        while left > 0 {
            let at = offset.saturating_add(bytes.len() as u64);
            let chunk = self.guest.read(self.machine, self.call, self.stream, at, left.min(CHUNK)).await?;
            if chunk.is_empty() {
                break;
            }
            left = left.saturating_sub(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
            bytes.extend(chunk);
        }
        Ok(bytes)
    }

    /// The record of the whole output. An output that cannot be read whole has no digest; the command ran all the same.
    async fn summary(&self) -> Summary {
        match tokio::time::timeout(TIMEOUT, self.digest()).await {
            Ok(Ok(summary)) => summary,
            Ok(Err(error)) => {
                tracing::warn!(%error, call_id = %self.call, "an output cannot be read whole");
                Summary::default()
            }
            Err(_) => Summary::default(),
        }
    }

    async fn digest(&self) -> Result<Summary, ProviderError> {
        let (mut hash, mut size) = (Sha256::new(), 0u64);
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        let mut is_plain = true;
        loop {
            let chunk = self.guest.read(self.machine, self.call, self.stream, size, CHUNK).await?;
            if chunk.is_empty() {
                break;
            }
            size = size.saturating_add(chunk.len() as u64);
            hash.update(&chunk);
            head.extend(chunk.iter().take(END + AROUND - head.len()));
            tail.extend_from_slice(&chunk);
            is_plain = is_plain && !is_blanked_within(&tail);
            tail.drain(..tail.len().saturating_sub(END + AROUND));
        }
        // The tail is what the head has not.
        let (first, torn) = (head.len().min(END), size > tail.len() as u64);
        let after = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(first).min(END);
        let last = tail.len() - after..tail.len();
        let plain = [head.get(..first), tail.get(last.clone())]
            .map(|bytes| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned());
        let (head, tail) = (scrub_piece(&head, 0..first, false), scrub_piece(&tail, last, torn));
        // Of what was blanked no digest is kept either: whoever has the rest could try what it was. Nor is its size, which
        // says how long that is.
        let is_plain = is_plain && plain == [head.as_str(), tail.as_str()];
        Ok(Summary { size: is_plain.then_some(size), sha256: is_plain.then(|| hex::encode(hash.finalize())), head, tail })
    }
}

/// What was read of an output, and the piece in it that was asked for.
struct Window {
    bytes: Vec<u8>,
    piece: Range<usize>,
    /// The output begins before it.
    torn: bool,
}

impl Window {
    fn piece(&self) -> &[u8] {
        self.bytes.get(self.piece.clone()).unwrap_or_default()
    }

    /// As it is shown: `kept` of the piece.
    fn answered_piece(&self, kept: Range<usize>, next: u64) -> Piece {
        let bytes = self.piece().get(kept.clone()).unwrap_or_default();
        let place = self.piece.start + kept.start..self.piece.start + kept.end;
        Piece {
            text: String::from_utf8_lossy(bytes).into_owned(),
            record: scrub_piece(&self.bytes, place, self.torn),
            utf8: std::str::from_utf8(bytes).is_ok(),
            next,
        }
    }
}

/// Size and digest are those of an output without a secret that could be read whole.
#[derive(Default)]
struct Summary {
    size: Option<u64>,
    sha256: Option<String>,
    head: ScrubbedText,
    tail: ScrubbedText,
}

/// What is recorded of one output.
pub(super) struct Recorded {
    /// Its size, if nothing in it is secret.
    pub(super) bytes: Option<u64>,
    /// There was more than the guest keeps.
    pub(super) truncated: bool,
    /// Its digest, if nothing in it is secret.
    pub(super) sha256: Option<String>,
    /// Its beginning.
    pub(super) head: String,
    /// Its end, without what the beginning has.
    pub(super) tail: String,
}

/// What is recorded of an output of a command that has ended.
pub(super) async fn record(ran: &super::run::Ran, call: &CallId, stream: Stream, size: u64) -> Recorded {
    let source = Source { guest: &*ran.guest, machine: &ran.machine, call, stream };
    let Summary { size: bytes, sha256, head, tail } = source.summary().await;
    Recorded { bytes, truncated: size >= SPOOL, sha256, head: head.into(), tail: tail.into() }
}

/// Whether there is a secret in `window` that its ends have not made one.
fn is_blanked_within(window: &[u8]) -> bool {
    let found = secrets(window, Edges { torn_start: true, open_end: true });
    found.spans.iter().any(|span| (span.start > 0 && span.end < window.len()) || span.len() > AROUND)
}

/// `bytes` without a character that has only begun at their end. Never nothing.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => bytes.get(..error.valid_up_to()).unwrap_or(bytes),
        // What is not UTF-8 further in may still end inside a character; it is replaced anyway.
        _ => bytes,
    }
}

/// `bytes` without the rest of a character that began before them.
fn from_character(bytes: &[u8]) -> &[u8] {
    let rest = bytes.iter().take(3).take_while(|byte| (0x80..0xC0).contains(*byte)).count();
    bytes.get(rest..).unwrap_or_default()
}
