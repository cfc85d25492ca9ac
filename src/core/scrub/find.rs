//! Where the secrets in a text are, in one pass. Work is counted, so that a test can see that it grows with the text alone.
//!
//! INVARIANT: what is looked at and is no secret is looked at a bounded number of times; what is one is passed over whole, and
//! nothing before its end is looked at again, nor before the end of a mark: so a text and the same text scrubbed are read alike.

use std::ops::Range;

use super::finder::{Finder, MARK, is_word};
use super::{block, command, files, form, hash, markup, named, said, sql, url, words};

/// What is known of the two ends of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edges {
    /// It begins in the middle of something.
    pub torn_start: bool,
    /// It may go on.
    pub open_end: bool,
}

impl Edges {
    /// There is nothing around it.
    pub const WHOLE: Self = Self { torn_start: false, open_end: false };
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Where the secrets are, in order; none overlap.
    pub spans: Vec<Range<usize>>,
    /// How many bytes were looked at, those that were looked at again included.
    pub examined: u64,
}

/// The secrets in `text`.
#[must_use]
pub fn secrets(text: &[u8], edges: Edges) -> Found {
    let mut finder = Finder::of(text, edges.open_end);
    let mut spans = Vec::new();
    let mut at = if edges.torn_start { block::torn(&mut finder) } else { 0 };
    if at > 0 {
        spans.push(0..at);
        finder.floor = at;
    }
    // Secrets that were announced; what stands before them is searched all the same.
    let mut announced: Vec<Range<usize>> = Vec::new();
    while at < text.len() {
        finder.examined += 1;
        let here = match announced.first() {
            Some(next) if next.start <= at => Some(announced.remove(0)),
            _ if finder.is_marked(at) => {
                at += MARK.len();
                finder.floor = at;
                continue;
            }
            _ => secret_at(&mut finder, at),
        };
        let Some(span) = here.map(|span| joined(&mut announced, span)) else {
            at += 1;
            continue;
        };
        if span.start > at {
            announced.push(span);
            announced.sort_unstable_by_key(|span| span.start);
            at += 1;
        } else {
            at = span.end.max(at + 1);
            finder.floor = at;
            spans.push(span);
        }
    }
    Found { spans, examined: finder.examined }
}

/// `span` with those that overlap it, which are among the others no more.
fn joined(others: &mut Vec<Range<usize>>, mut span: Range<usize>) -> Range<usize> {
    others.retain(|other| {
        let overlaps = other.start < span.end && span.start < other.end;
        if overlaps {
            span = span.start.min(other.start)..span.end.max(other.end);
        }
        !overlaps
    });
    span
}

/// Whether there is a token or a private key in `text`, by its own form.
#[must_use]
pub fn tokens(text: &[u8]) -> bool {
    let mut finder = Finder::of(text, false);
    (0..text.len()).any(|at| token_at(&mut finder, at).is_some())
}

/// The secret that begins or is announced at `at`.
fn secret_at(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let first = *finder.text.get(at)?;
    if first == b'\n' && finder.before(at) != Some(b'\\') {
        finder.command = None;
    }
    token_at(finder, at).or_else(|| match first {
        b':' => url::password(finder, at).or_else(|| files::pgpass(finder, at)).or_else(|| named::value(finder, at, 1)),
        b'=' => named::value(finder, at, 1),
        b'%' => named::encoded(finder, at),
        b'(' | b',' => named::argument(finder, at),
        b'"' | b'\'' => said::quoted(finder, at),
        b'$' => hash::hash(finder, at).or_else(|| named::default(finder, at)),
        b'{' | b'*' => hash::hash(finder, at),
        b'<' => said::handed(finder, at).or_else(|| markup::element(finder, at)),
        b'-' => command::option(finder, at),
        _ if first.is_ascii_alphanumeric() => word_at(finder, at),
        _ => None,
    })
}

/// The secret that the word at `at` announces.
fn word_at(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let first = finder.text.get(at)?.to_ascii_lowercase();
    if first == b'b'
        && let Some(span) = said::scheme(finder, at)
    {
        return Some(span);
    }
    if finder.before(at).is_some_and(is_word) {
        return None;
    }
    command::begin(finder, at);
    let found = match first {
        b'i' | b's' => sql::secret(finder, at),
        b'm' | b'l' | b'd' => files::netrc(finder, at),
        b'e' | b'p' => said::piped(finder, at).or_else(|| hash::hash(finder, at)),
        _ => None,
    };
    found.or_else(|| words::secret(finder, at))
}

fn token_at(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    block::key(finder, at).or_else(|| form::token(finder, at))
}
