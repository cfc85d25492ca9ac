//! Standard input before rmcp, which passes over what it cannot read in silence: a line that is nested too deep goes on as the
//! message that it is, with a text in place of its arguments, so that it is answered and recorded like other arguments that are
//! none.
//!
//! INVARIANT: every other byte goes on as it came; a line is held up to what rmcp takes of one, and no further.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, DuplexStream};

use super::shallow;

/// What rmcp takes of one line. A longer one it drops.
const LONGEST: usize = 16 * 1024 * 1024;

/// What is under way between the two.
const AHEAD: usize = 64 * 1024;

/// Nesting that is always read.
const DEPTH: usize = 100;

/// `input`, line by line.
pub fn legible(input: impl AsyncRead + Unpin + Send + 'static) -> DuplexStream {
    let (mut into, out) = tokio::io::duplex(AHEAD);
    tokio::spawn(async move {
        let mut input = BufReader::new(input);
        let mut line = Vec::new();
        // Who reads it has gone, or who writes it: either is the end.
        while let Ok(rest) = input.fill_buf().await {
            let newline = rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let taken = newline.unwrap_or(rest.len());
            line.extend_from_slice(&rest[..taken]);
            input.consume(taken);
            if taken > 0 && newline.is_none() && line.len() <= LONGEST {
                continue;
            }
            let sent = if is_deep(&line) { into.write_all(&replaced(&line)).await } else { into.write_all(&line).await };
            if sent.is_err() || taken == 0 {
                break;
            }
            line.clear();
        }
    });
    out
}

/// Whether brackets are nested deeper than everybody reads. Those within texts count for nothing.
fn is_deep(line: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > DEPTH {
                    return true;
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

fn replaced(line: &[u8]) -> Vec<u8> {
    if serde_json::from_slice::<serde_json::Value>(line).is_ok() {
        return line.to_vec();
    }
    shallow::of(line).map_or_else(|| line.to_vec(), |message| format!("{message}\n").into_bytes())
}
