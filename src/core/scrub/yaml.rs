//! Values that stand below their name, as YAML writes them: on the next line, further in, or as a block.
//!
//! INVARIANT: what is further in than its name is its value, unless names follow again.

use std::ops::Range;

use super::finder::Finder;
use super::names::{Name, Named};
use super::value::{self, LINE, Weight};

/// How far in a line may begin.
const FAR: usize = 64;

/// Whether nothing but blanks, dashes and quotes stands in its line before `at`.
pub(super) fn begins_line(finder: &mut Finder<'_>, at: usize) -> bool {
    indent(finder, at).is_some()
}

/// How far in a name stands that begins its line.
fn indent(finder: &mut Finder<'_>, at: usize) -> Option<usize> {
    let before = finder.look_back(at, FAR);
    let blank = before.iter().rev().take_while(|byte| b" \t-\"'".contains(byte)).count();
    match before.iter().rev().nth(blank) {
        Some(b'\n') => Some(blank),
        // An end of line that is written as an escape.
        Some(b'n') if before.iter().rev().nth(blank + 1) == Some(&b'\\') => Some(blank),
        None if finder.is_start(at - blank) => Some(blank),
        _ => None,
    }
}

/// Whether `at` is in a line that nobody has quoted so far.
pub(super) fn is_bare(finder: &mut Finder<'_>, at: usize) -> bool {
    let before = finder.look_back(at, FAR);
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_whole = line.len() < before.len() || finder.is_start(at - before.len());
    is_whole && !line.iter().any(|byte| b"\"'`".contains(byte))
}

/// Where a value begins of which is said first what it is (`!vault`) and what it is called (`&anchor`).
pub(super) fn described(finder: &mut Finder<'_>, start: usize) -> usize {
    let mut at = start;
    while finder.text.get(at).is_some_and(|byte| b"!&".contains(byte)) {
        let word = finder.run(at, FAR, |byte| byte.is_ascii_alphanumeric() || b"!&_-./".contains(&byte));
        let blanks = finder.blanks(at + word, 8);
        if blanks == 0 {
            break;
        }
        at += word + blanks;
    }
    at
}

/// The value of `name` that begins in the line after `start`.
pub(super) fn below(finder: &mut Finder<'_>, name: &Name<'_>, kind: Named, start: usize) -> Option<Range<usize>> {
    let mut at = start;
    let is_block = matches!(finder.text.get(at), Some(b'|' | b'>'));
    at += finder.run(at, 4, |byte| b"|>+-0123456789".contains(&byte) && is_block);
    at += finder.blanks(at, FAR);
    if is_block && finder.text.get(at) == Some(&b'#') {
        at += finder.run(at, value::WEIGHED, |byte| byte != b'\n');
    }
    let escaped = usize::from(finder.from(at).starts_with(b"\\n"));
    if line_end(finder, at) == 0 {
        return None;
    }
    let outer = indent(finder, name.start)?;
    if is_block { block(finder, at, outer) } else { scalar(finder, at, outer, kind, escaped > 0) }
}

/// How long the end of line at `at` is.
fn line_end(finder: &mut Finder<'_>, at: usize) -> usize {
    [b"\r\n".as_slice(), b"\n", b"\\r\\n", b"\\n"].iter().find(|end| finder.is_at(at, end)).map_or(0, |end| end.len())
}

/// All lines from `at` on that are further in than `outer`.
fn block(finder: &mut Finder<'_>, at: usize, outer: usize) -> Option<Range<usize>> {
    let (mut first, mut end, mut at) = (None, at, at);
    let mut is_plain = false;
    loop {
        let next = at + line_end(finder, at);
        let inner = finder.blanks(next, usize::MAX);
        let line = next + inner;
        let is_blank = line_end(finder, line) > 0;
        if next == at || (inner <= outer && !is_blank) || line >= finder.text.len() {
            break;
        }
        let value = value::read(finder, line, LINE);
        if !is_blank {
            first.get_or_insert(line);
            end = value.span.end;
            is_plain |= !value.plain.is_empty();
        }
        at = line.max(value.span.end);
        at += finder.blanks(at, usize::MAX);
    }
    first.filter(|_| is_plain).map(|first| first..end)
}

/// The value in the line after `at`.
fn scalar(finder: &mut Finder<'_>, at: usize, outer: usize, kind: Named, escaped: bool) -> Option<Range<usize>> {
    let next = at + line_end(finder, at);
    let inner = finder.blanks(next, FAR);
    let line = next + inner;
    let (start, style) = value::style(finder, line, LINE)?;
    let value = value::read(finder, start, style);
    // Names follow again, or a list does.
    let length = finder.run(line, FAR, |byte| byte.is_ascii_alphanumeric() || b"_-./\"'".contains(&byte));
    let is_called = length > 0 && finder.text.get(line + length) == Some(&b':');
    let is_marked = finder.is_marked(line) && value.plain.starts_with(b":");
    let is_names = is_called || is_marked || value.plain.starts_with(b"- ");
    let weight = if style == LINE { Weight::Said } else { Weight::Given };
    if inner <= outer || is_names || (escaped && finder.text.get(line) == Some(&b'"')) {
        return None;
    }
    value::secret(finder, kind, weight, start, style)
}
