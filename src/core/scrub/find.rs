//! Where the secrets in a text are, in one pass. Work is counted, so that a test can see that it grows with the text alone.
//!
//! INVARIANT: what is looked at and is no secret is looked at a bounded number of times; what is one is passed over whole, and
//! nothing before its end is looked at again, nor before the end of a mark: so a text and the same text scrubbed are read alike.

use std::ops::Range;

use super::command::{self, Command};
use super::{MARK, block, files, form, hash, markup, named, said, sql, url, words};

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
            _ => finder.secret_at(at),
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
    (0..text.len()).any(|at| finder.token_at(at).is_some())
}

/// A text while it is searched.
pub(super) struct Finder<'a> {
    pub(super) text: &'a [u8],
    pub(super) open_end: bool,
    /// The command whose arguments are being read.
    pub(super) command: Option<&'static Command>,
    /// The last secret or mark ends here.
    floor: usize,
    examined: u64,
}

impl<'a> Finder<'a> {
    fn of(text: &'a [u8], open_end: bool) -> Self {
        Self { text, open_end, command: None, floor: 0, examined: 0 }
    }

    fn secret_at(&mut self, at: usize) -> Option<Range<usize>> {
        let first = *self.text.get(at)?;
        if first == b'\n' && self.before(at) != Some(b'\\') {
            self.command = None;
        }
        self.token_at(at).or_else(|| match first {
            b':' => url::password(self, at).or_else(|| files::pgpass(self, at)).or_else(|| named::value(self, at, 1)),
            b'=' => named::value(self, at, 1),
            b'%' => named::encoded(self, at),
            b'(' | b',' => named::argument(self, at),
            b'"' | b'\'' => said::quoted(self, at),
            b'$' => hash::hash(self, at).or_else(|| named::default(self, at)),
            b'{' | b'*' => hash::hash(self, at),
            b'<' => said::handed(self, at).or_else(|| markup::element(self, at)),
            b'-' => command::option(self, at),
            _ if first.is_ascii_alphanumeric() => self.word_at(at),
            _ => None,
        })
    }

    /// The secret that the word at `at` announces.
    fn word_at(&mut self, at: usize) -> Option<Range<usize>> {
        let first = self.text.get(at)?.to_ascii_lowercase();
        if first == b'b'
            && let Some(span) = said::scheme(self, at)
        {
            return Some(span);
        }
        if self.before(at).is_some_and(is_word) {
            return None;
        }
        command::begin(self, at);
        let found = match first {
            b'i' | b's' => sql::secret(self, at),
            b'm' | b'l' | b'd' => files::netrc(self, at),
            b'e' | b'p' => said::piped(self, at).or_else(|| hash::hash(self, at)),
            _ => None,
        };
        found.or_else(|| words::secret(self, at))
    }

    fn token_at(&mut self, at: usize) -> Option<Range<usize>> {
        self.key_at(at).or_else(|| form::token(self, at))
    }

    /// The private key whose armour begins at `at`.
    pub(super) fn key_at(&mut self, at: usize) -> Option<Range<usize>> {
        matches!(self.text.get(at), Some(b'-' | b'P')).then(|| block::key(self, at)).flatten()
    }

    /// Whether what was at `at` is blanked already.
    pub(super) fn is_marked(&mut self, at: usize) -> bool {
        self.text.get(at) == Some(&b'[') && self.is_at(at, MARK.as_bytes())
    }

    /// What follows `at`.
    pub(super) fn from(&self, at: usize) -> &'a [u8] {
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

    /// The byte before `at`, unless a secret or its mark ends there.
    pub(super) fn before(&self, at: usize) -> Option<u8> {
        self.back(at, 1).first().copied()
    }

    /// At most `most` bytes before `at`, of what may be looked at again.
    pub(super) fn back(&self, at: usize, most: usize) -> &'a [u8] {
        self.text.get(at.saturating_sub(most).max(self.floor)..at).unwrap_or_default()
    }

    /// The same, counted.
    pub(super) fn look_back(&mut self, at: usize, most: usize) -> &'a [u8] {
        let before = self.back(at, most);
        self.examined += before.len() as u64;
        before
    }

    /// Whether `at` is the beginning of the text.
    pub(super) fn is_start(&self, at: usize) -> bool {
        at == 0 && self.floor == 0
    }

    /// Whether `word`, in small letters, stands at `at`, however it is written.
    pub(super) fn says(&mut self, at: usize, word: &[u8]) -> bool {
        self.examined += 1;
        self.text.get(at..at + word.len()).is_some_and(|there| there.eq_ignore_ascii_case(word))
    }

    /// How many of at most `most` bytes from `at` are blank: ends of lines too, and those that are written as an escape.
    pub(super) fn gap(&mut self, at: usize, most: usize) -> usize {
        let mut end = at;
        while end - at < most {
            let length = match self.from(end) {
                [b' ' | b'\t' | b'\r' | b'\n', ..] => 1,
                [b'\\', b'n' | b't' | b'r' | b'\n', ..] => 2,
                _ => break,
            };
            end += length;
        }
        self.examined += (end - at) as u64 + 1;
        end - at
    }

    /// How many of at most `most` bytes from `at` are blanks in a line.
    pub(super) fn blanks(&mut self, at: usize, most: usize) -> usize {
        self.run(at, most, |byte| byte == b' ' || byte == b'\t')
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

/// Whether a word is written with it.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
