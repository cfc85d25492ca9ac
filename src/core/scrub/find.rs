//! Where the secrets in a text are, in one pass. Work is counted, so that a test can see that it grows with the text alone.
//!
//! INVARIANT: what is looked at and is no secret is looked at a bounded number of times; what is one is passed over whole.

use std::ops::Range;

use super::{block, form, named, url};

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
    let mut finder = Finder { text, open_end: edges.open_end, examined: 0 };
    let mut spans = Vec::new();
    let mut at = if edges.torn_start { block::torn(&mut finder) } else { 0 };
    if at > 0 {
        spans.push(0..at);
    }
    while at < text.len() {
        finder.examined += 1;
        match finder.secret_at(at) {
            Some(span) => {
                at = span.end.max(at + 1);
                spans.push(span);
            }
            None => at += 1,
        }
    }
    Found { spans, examined: finder.examined }
}

/// Whether there is a token or a private key in `text`, by its own form.
#[must_use]
pub fn tokens(text: &[u8]) -> bool {
    let mut finder = Finder { text, open_end: false, examined: 0 };
    (0..text.len()).any(|at| finder.token_at(at).is_some())
}

/// A text while it is searched.
pub(super) struct Finder<'a> {
    pub(super) text: &'a [u8],
    pub(super) open_end: bool,
    examined: u64,
}

impl Finder<'_> {
    fn secret_at(&mut self, at: usize) -> Option<Range<usize>> {
        self.token_at(at).or_else(|| match self.text.get(at)? {
            b':' => url::password(self, at).or_else(|| named::value(self, at)),
            b'=' => named::value(self, at),
            b'b' | b'B' => named::bearer(self, at),
            b'-' => named::option(self, at),
            _ => None,
        })
    }

    fn token_at(&mut self, at: usize) -> Option<Range<usize>> {
        match self.text.get(at)? {
            b'-' | b'P' => block::key(self, at).or_else(|| form::token(self, at)),
            _ => form::token(self, at),
        }
    }

    /// What follows `at`.
    pub(super) fn from(&self, at: usize) -> &[u8] {
        self.text.get(at..).unwrap_or_default()
    }

    /// Whether `word` stands at `at`.
    pub(super) fn is_at(&mut self, at: usize, word: &[u8]) -> bool {
        self.examined += 1;
        self.from(at).starts_with(word)
    }

    /// How many of at most `most` bytes from `at` are of a kind, one after the other.
    pub(super) fn run(&mut self, at: usize, most: usize, of: impl Fn(u8) -> bool) -> usize {
        let length = self.from(at).iter().take(most).take_while(|byte| of(**byte)).count();
        self.examined += length as u64 + 1;
        length
    }

    /// Where one of `words` is next, from `at` on.
    pub(super) fn next(&mut self, at: usize, words: &[&[u8]]) -> Option<usize> {
        let is_there = |from: &usize| self.text.get(*from..).is_some_and(|text| words.iter().any(|word| text.starts_with(word)));
        let found = (at..self.text.len()).find(is_there);
        self.examined += (found.unwrap_or(self.text.len()) - at) as u64 + 1;
        found
    }

    /// Whether the text might go on at `at`: what is there so far may be the beginning of something.
    pub(super) fn goes_on(&self, at: usize) -> bool {
        self.open_end && at >= self.text.len()
    }

    /// The byte before `at`.
    pub(super) fn before(&self, at: usize) -> Option<u8> {
        self.text.get(at.checked_sub(1)?).copied()
    }

    /// Where a run of `of` from `at` ends: at an escape of a quoted text, too, for that is not in the secret, and where the
    /// armour of a key begins, for that is a secret of its own and must keep its head.
    pub(super) fn end_of(&mut self, at: usize, of: impl Fn(u8) -> bool) -> usize {
        let mut end = at;
        loop {
            end += self.run(end, usize::MAX, |byte| byte != b'\\' && byte != b'-' && of(byte));
            let is_inside = self.text.get(end).is_some_and(|byte| of(*byte)) && !self.is_escape(end);
            if !is_inside || block::begins(self, end) {
                return end;
            }
            end += 1;
        }
    }

    /// Whether a line or a quoted text ends or goes on at `at`, written as an escape.
    pub(super) fn is_escape(&self, at: usize) -> bool {
        self.text.get(at) == Some(&b'\\') && self.text.get(at + 1).is_some_and(|byte| b"\"'nrtu\\".contains(byte))
    }
}
