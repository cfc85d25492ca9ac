//! What comes in and goes out, one message a line.
//!
//! INVARIANT: a line goes on as it came, byte for byte: it is the server that reads it. One that is too long is passed over to
//! its end, and no more of it is kept than fits.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Stdout};
use tokio::sync::Mutex;
use tokio_util::codec::{AnyDelimiterCodec, Decoder};
use tokio_util::sync::CancellationToken;

/// Longest line. A server takes less.
const MAX_LENGTH: usize = 16 * 1024 * 1024;

/// Least room for what is read at a time.
const CHUNK: usize = 8 * 1024;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line that is not blank, without its end.
    Whole(Bytes),
    /// One that is longer than any.
    TooLong,
}

/// Lines that come in.
///
/// The codec is driven here and not by a `FramedRead`: that takes a line that is too long for the end, and after it leaves what it
/// has already read lying there until more comes.
pub struct Lines<R> {
    input: R,
    codec: AnyDelimiterCodec,
    read: BytesMut,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The lines of `input`.
    pub fn of(input: R) -> Self {
        let codec = AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), Vec::new(), MAX_LENGTH);
        Self { input, codec, read: BytesMut::new(), ended: false }
    }

    /// The next line; none at the end, or if nothing can be read any more. One that has no end is one as well. Nothing is lost
    /// if this is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            let decoded = if self.ended { self.codec.decode_eof(&mut self.read) } else { self.codec.decode(&mut self.read) };
            match decoded {
                Ok(Some(line)) if line.trim_ascii().is_empty() => {}
                Ok(Some(line)) => return Some(Line::Whole(line.slice_ref(line.trim_ascii()))),
                Ok(None) if self.ended => return None,
                Ok(None) => {
                    self.read.reserve(CHUNK);
                    self.ended = self.input.read_buf(&mut self.read).await.unwrap_or(0) == 0;
                }
                Err(_) => return Some(Line::TooLong),
            }
        }
    }
}

/// Where answers go.
pub struct Out {
    output: Mutex<Stdout>,
    /// Set once nobody reads them any more.
    pub gone: CancellationToken,
}

impl Out {
    /// Standard output, to which nothing else may write.
    pub fn new() -> Self {
        Self { output: Mutex::new(tokio::io::stdout()), gone: CancellationToken::new() }
    }

    /// Says one message.
    pub async fn say(&self, message: &[u8]) {
        let mut line = Vec::with_capacity(message.len() + 1);
        line.extend_from_slice(message);
        line.push(b'\n');
        let mut output = self.output.lock().await;
        if output.write_all(&line).await.is_err() || output.flush().await.is_err() {
            self.gone.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    async fn read(text: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::of(text);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(if let Line::Whole(line) = line { Some(line.to_vec()) } else { None });
        }
        all
    }

    fn bytes(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    #[tokio::test]
    async fn lines_are_read_to_the_last_and_one_that_is_too_long_is_passed_over() {
        assert_eq!(read(b"").await, []);
        assert_eq!(read(b"{}\r\n\n \n[1]\nlast").await, [Some(bytes("{}")), Some(bytes("[1]")), Some(bytes("last"))]);
        let mut text = vec![b'x'; MAX_LENGTH];
        text.extend_from_slice(b"\nafter\n");
        let longest = read(&text).await;
        assert_eq!((longest[0].as_ref().map(Vec::len), &longest[1]), (Some(MAX_LENGTH), &Some(bytes("after"))));
        text.insert(0, b'x');
        assert_eq!(read(&text).await, [None, Some(bytes("after"))]);
        text.truncate(MAX_LENGTH + 1);
        assert_eq!(read(&text).await, [None], "it has no end");
    }

    #[tokio::test]
    async fn lines_are_bytes_and_go_on_as_they_came() {
        assert_eq!(read(b"\xff\xfe{\x00}\n").await, [Some(b"\xff\xfe{\x00}".to_vec())]);
    }

    #[tokio::test]
    async fn lines_after_one_that_is_too_long_wait_for_nothing_more() {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let mut lines = Lines::of(server);
        let writing = tokio::spawn(async move {
            client.write_all(&vec![b'x'; MAX_LENGTH + 1]).await.unwrap();
            client.write_all(b"\nafter\n").await.unwrap();
            client
        });
        assert_eq!(lines.next().await, Some(Line::TooLong));
        assert_eq!(lines.next().await, Some(Line::Whole(Bytes::from_static(b"after"))), "though the client writes nothing more");
        drop(writing.await.unwrap());
        assert_eq!(lines.next().await, None);
    }

    #[tokio::test]
    async fn lines_lose_nothing_to_who_stops_waiting() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut lines = Lines::of(server);
        for part in [&b"{\"a\""[..], b":1", b"}"] {
            client.write_all(part).await.unwrap();
            let mut next = pin!(lines.next());
            let waits = poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await;
            assert!(waits, "no line has ended");
        }
        client.write_all(b"\n").await.unwrap();
        assert_eq!(lines.next().await, Some(Line::Whole(Bytes::from_static(b"{\"a\":1}"))));
    }
}
