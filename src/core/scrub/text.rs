//! A text without its secrets.

use std::borrow::Cow;
use std::ops::Range;

use super::find::{Edges, secrets};
use super::finder::MARK;

/// `text` with every secret that is known by its form or its place replaced.
#[must_use]
pub fn scrub_text(text: &str) -> String {
    let scrubbed = |text: &str| replaced(text.as_bytes(), 0..text.len(), &secrets(text.as_bytes(), Edges::WHOLE).spans);
    let mut text = Cow::Borrowed(text);
    // Where a secret was, another rule may find that more of the text belongs to it.
    for _ in 0..MAX_PASSES {
        let clean = scrubbed(&text);
        if clean == text {
            return clean;
        }
        text = Cow::Owned(clean);
    }
    scrubbed(&text)
}

/// How often a text in which something was replaced is looked at again.
const MAX_PASSES: usize = 3;

/// What is at `piece` of `text`, with each of `spans`, which are in order, replaced.
pub(super) fn replaced(text: &[u8], piece: Range<usize>, spans: &[Range<usize>]) -> String {
    let mut clean = String::with_capacity(piece.len());
    let copy = |part: Range<usize>, clean: &mut String| {
        clean.push_str(&String::from_utf8_lossy(text.get(part).unwrap_or_default()));
    };
    let mut at = piece.start;
    for span in spans {
        let (start, end) = (span.start.clamp(at, piece.end), span.end.clamp(at, piece.end));
        if start < end {
            copy(at..start, &mut clean);
            clean.push_str(MARK);
            at = end;
        }
    }
    copy(at..piece.end, &mut clean);
    clean
}
