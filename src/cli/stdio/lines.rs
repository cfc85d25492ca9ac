//! What comes in and goes out, one message a line.
//!
//! INVARIANT: a line goes on as it came, byte for byte: it is the server that reads it. One that is too long is passed over to
//! its end, and no more of it is kept than fits.

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, Stdout};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Longest line. A server takes less.
const LONGEST: usize = 16 * 1024 * 1024;

/// What was read.
pub enum Line {
    /// A line that is not blank, without its end.
    Whole(Bytes),
    /// One that is longer than any.
    TooLong,
}

/// Lines that come in.
pub struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    is_over: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The lines of `input`.
    pub fn of(input: R) -> Self {
        Self { input: BufReader::new(input), line: Vec::new(), is_over: false }
    }

    /// The next line; none at the end, or if nothing can be read any more. One that has no end is one as well. Nothing is lost
    /// if this is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            let rest = self.input.fill_buf().await.unwrap_or_default();
            let newline = rest.iter().position(|byte| *byte == b'\n');
            let (taken, ends) = (newline.map_or(rest.len(), |at| at + 1), newline.is_some() || rest.is_empty());
            let is_last = rest.is_empty();
            if self.line.len() + taken > LONGEST {
                self.is_over = true;
                self.line = Vec::new();
            }
            if !self.is_over {
                self.line.extend_from_slice(&rest[..taken]);
            }
            self.input.consume(taken);
            if !ends {
                continue;
            }
            let (line, is_over) = (std::mem::take(&mut self.line), std::mem::take(&mut self.is_over));
            if is_over {
                return Some(Line::TooLong);
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                return Some(Line::Whole(Bytes::copy_from_slice(text)));
            }
            if is_last {
                return None;
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
    use super::*;

    async fn read(text: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::of(text);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(if let Line::Whole(line) = line { Some(line.to_vec()) } else { None });
        }
        all
    }

    #[tokio::test]
    async fn lines_are_read_to_the_last_and_one_that_is_too_long_is_passed_over() {
        assert_eq!(read(b"").await, []);
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(read(b"{}\r\n\n \n[1]\nlast").await, [some("{}"), some("[1]"), some("last")]);
        let mut text = vec![b'x'; LONGEST + 1];
        text.extend_from_slice(b"\nafter\n");
        assert_eq!(read(&text).await, [None, some("after")]);
    }
}
