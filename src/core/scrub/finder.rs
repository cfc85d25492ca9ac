//! A text while it is searched: what stands where in it, and how much of it was looked at.
//!
//! INVARIANT: what is looked at is counted, and nothing before the end of the last secret or mark is looked at again.

use super::commands::Command;

/// What is recorded in the place of a secret.
pub const MARK: &str = "[redacted token]";

/// How the armour of a key begins: five dashes, or four and a blank.
pub(super) const ARMOUR: [&[u8]; 2] = [b"-----BEGIN ", b"---- BEGIN "];

/// A text while it is searched.
pub(super) struct Finder<'a> {
    pub(super) text: &'a [u8],
    pub(super) open_end: bool,
    /// The command whose arguments are being read.
    pub(super) command: Option<&'static Command>,
    /// The last secret or mark ends here.
    pub(super) floor: usize,
    pub(super) examined: u64,
}

impl<'a> Finder<'a> {
    pub(super) fn of(text: &'a [u8], open_end: bool) -> Self {
        Self { text, open_end, command: None, floor: 0, examined: 0 }
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
            if !is_inside || self.begins_armour(end) {
                return end;
            }
            end += 1;
        }
    }

    /// Whether the armour of a key begins at `at`.
    pub(super) fn begins_armour(&mut self, at: usize) -> bool {
        ARMOUR.iter().any(|begin| self.is_at(at, begin))
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
