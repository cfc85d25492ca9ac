//! Where in a file something is: line and column, with the line itself under what is said of it.
//!
//! INVARIANT: of a line at most [`SHOWN`] characters are shown, however long it is.

use std::fmt;
use std::ops::Range;

/// Characters of a line that are shown.
const SHOWN: usize = 120;

/// Characters before the marked ones, where a line is not shown whole.
const BEFORE: usize = 40;

/// A place in a text, counted from 1 as editors do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    line: usize,
    column: usize,
    /// The line, or a piece of it.
    shown: String,
    /// Characters of `shown` before the marked ones.
    before: usize,
    /// How many are marked.
    marked: usize,
}

impl Place {
    /// The place of these bytes. What is missing at the end of a text is missing behind its last line that says something.
    pub(super) fn of(text: &str, bytes: Range<usize>) -> Option<Self> {
        let start = bytes.start.min(text.trim_end().len());
        let (head, tail) = text.split_at_checked(start)?;
        let begin = head.rfind('\n').map_or(0, |at| at + 1);
        let line: Vec<char> = text.get(begin..)?.lines().next().unwrap_or_default().chars().collect();
        let before = text.get(begin..start)?.chars().count();
        let length =
            tail.get(..bytes.end.min(text.len()).saturating_sub(start))?.lines().next().unwrap_or_default().chars().count();
        let skipped = if line.len() > SHOWN { before.saturating_sub(BEFORE) } else { 0 };
        let shown: String = line.iter().skip(skipped).take(SHOWN).map(|c| if *c == '\t' { ' ' } else { *c }).collect();
        let (before, room) = (before - skipped, shown.chars().count().saturating_sub(before - skipped));
        let line = head.matches('\n').count() + 1;
        Some(Self { line, column: before + skipped + 1, shown, before, marked: length.clamp(1, room.max(1)) })
    }

    /// The first place outside comments where a text has this.
    pub(super) fn find(text: &str, wanted: &str) -> Option<Self> {
        Self::all(text, wanted).next()
    }

    /// The last one.
    pub(super) fn find_last(text: &str, wanted: &str) -> Option<Self> {
        Self::all(text, wanted).last()
    }

    /// The first place of each line.
    fn all<'a>(text: &'a str, wanted: &'a str) -> impl Iterator<Item = Self> + 'a {
        let mut begin = 0;
        text.split_inclusive('\n').filter_map(move |line| {
            let start = begin;
            begin += line.len();
            let at = start + line.split("//").next().unwrap_or_default().find(wanted)?;
            Self::of(text, at..at + wanted.len())
        })
    }

    /// The line, with a mark under what is meant.
    pub(super) fn excerpt(&self) -> String {
        let (number, shown) = (self.line.to_string(), self.shown.trim_end());
        let (margin, before, marks) = (" ".repeat(number.len()), " ".repeat(self.before), "^".repeat(self.marked));
        format!("\n  {number} | {shown}\n  {margin} | {before}{marks}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
