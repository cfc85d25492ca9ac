//! A value as it is written: where it begins and ends. Whether it is a secret is weighed in `weigh.rs`.
//!
//! INVARIANT: a mark that stands inside a value is part of it, as is the armour of a key, so that nobody hides a secret behind
//! one; what they are not is what is weighed. A value that only names what is to be put there (`$TOKEN`, `{{ token }}`) is none.

use std::ops::Range;

use super::finder::{Finder, MARK};
use super::names::Named;
use super::weigh::{self, is_masked};
pub(super) use super::weigh::{WEIGHED, Weight, is_mixed, is_pair};
use super::{block, form, hash};

/// What a value without quotes ends at.
pub(super) const BARE: &[u8] = b"\"'`,;&<>|(){}";

/// The same, of a hash that begins with its method in braces.
const SCHEMED: &[u8] = b"\"'`,;&<>|()";

/// What a value with blanks in it ends at: where its line does.
pub(super) const LINE: Style = Style::Until(b"\n\r\"");

/// The same, if the line is none of a quoted text.
pub(super) const RAW: &[u8] = b"\n\r";

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// In quotes, before which so many backslashes stand.
    Quoted(u8, usize),
    /// In three of them, over several lines.
    Triple(u8),
    /// In braces.
    Braced,
    /// Up to blanks and these.
    Bare(&'static [u8]),
    /// As the shell takes it: up to blanks, and what ends a command if blanks follow it.
    Shell,
    /// Up to one of these; where there are but ends of lines among them, an escape ends nothing.
    Until(&'static [u8]),
    /// In backticks.
    Ticked,
    /// In an element of XML.
    Element,
    /// In one, as it is.
    Data,
}

/// A value.
pub(super) struct Value {
    pub(super) span: Range<usize>,
    pub(super) style: Style,
    /// Its beginning, without marks.
    pub(super) plain: Vec<u8>,
    /// It might go on.
    pub(super) goes_on: bool,
    /// What it ends with is there.
    pub(super) closed: bool,
}

impl Value {
    /// Whether it is what a name of this kind is given in secret.
    pub(super) fn is_secret(&self, kind: Named, weight: Weight) -> bool {
        let quoted = matches!(self.style, Style::Quoted(..) | Style::Triple(_) | Style::Ticked);
        weigh::is_secret(&self.plain, quoted, self.goes_on, kind, weight)
    }
}

/// How the value at `at` is written and where it begins; none if it only names what is to be put there.
pub(super) fn style(finder: &mut Finder<'_>, at: usize, bare: Style) -> Option<(usize, Style)> {
    let mut start = at;
    // `$'…'` of the shell, `b"…"` and their like, `["…"]`, `Some("…")`.
    let prefix = finder.run(start, 16, |byte| byte.is_ascii_alphabetic() || b"$@[(".contains(&byte));
    let is_prefix = match finder.from(start).get(..prefix).unwrap_or_default() {
        [one] => b"bfrunLNBFRU$@[(".contains(one),
        b"Some(" | b"Ok(" | b"Just(" | b"Secret(" | b"SecretString(" | b"Password(" | b"String(" | b"str(" | b"PASSWORD(" => true,
        _ => false,
    };
    let slashes = |finder: &mut Finder<'_>, at: usize| finder.run(at, 7, |byte| byte == b'\\');
    let quote = |finder: &Finder<'_>, at: usize| finder.text.get(at).copied().filter(|byte| b"\"'".contains(byte));
    if is_prefix {
        let after = start + prefix;
        let escapes = slashes(finder, after);
        if quote(finder, after + escapes).is_some() {
            start = after;
        }
    }
    let escapes = slashes(finder, start);
    if let Some(quote) = quote(finder, start + escapes) {
        start += escapes + 1;
        let triple = escapes == 0 && finder.from(start).starts_with(&[quote, quote]);
        let found = if triple { (start + 2, Style::Triple(quote)) } else { (start, Style::Quoted(quote, escapes)) };
        return (!is_open(finder, found.0)).then_some(found);
    }
    let value = finder.from(start);
    if value.first() == Some(&b'`') {
        let inside = read(finder, start + 1, Style::Ticked);
        let is_word = (inside.closed || inside.goes_on) && !inside.plain.iter().any(u8::is_ascii_whitespace);
        return (is_word && !is_open(finder, start + 1)).then_some((start + 1, Style::Ticked));
    }
    if is_open(finder, start) {
        return None;
    }
    Some(match value.first() {
        Some(b'{') if hash::hash(finder, start).is_some() => (start, Style::Bare(SCHEMED)),
        Some(b'{') => (start + 1, Style::Braced),
        _ => (start, bare),
    })
}

/// The value that begins at `start`.
pub(super) fn read(finder: &mut Finder<'_>, start: usize, style: Style) -> Value {
    let (mut end, mut plain) = (start, Vec::<u8>::new());
    let closed = loop {
        if finder.is_marked(end) {
            end += MARK.len();
            continue;
        }
        if let Some(key) = block::key(finder, end) {
            end = key.end;
            continue;
        }
        let Some(byte) = finder.text.get(end).copied() else { break false };
        match step(finder, end, byte, style) {
            0 => break true,
            length => {
                let inside = finder.text.get(end..end + length).unwrap_or_default();
                plain.extend(inside.iter().take(WEIGHED.saturating_sub(plain.len())));
                end = (end + length).min(finder.text.len());
            }
        }
    };
    finder.run(start, end - start, |_| true);
    let goes_on = finder.goes_on(end);
    if matches!(style, Style::Until(_) | Style::Element) {
        let blank = plain.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
        plain.truncate(plain.len() - blank);
        let written = finder.text.get(start..end).unwrap_or_default();
        end -= written.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
    }
    Value { span: start..end, style, plain, goes_on, closed }
}

/// The value at `start`, if it is a secret.
pub(super) fn secret(finder: &mut Finder<'_>, kind: Named, weight: Weight, start: usize, style: Style) -> Option<Range<usize>> {
    let value = read(finder, start, style);
    value.is_secret(kind, weight).then_some(value.span)
}

/// How many bytes at `at` are the next of a value; none if it has ended.
fn step(finder: &Finder<'_>, at: usize, byte: u8, style: Style) -> usize {
    let is_end = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'".contains(&byte));
    match style {
        Style::Quoted(quote, slashes) => {
            let escapes = finder.from(at).iter().take(WEIGHED).take_while(|byte| **byte == b'\\').count();
            let after = finder.text.get(at + escapes).copied();
            let closes = after == Some(quote) && escapes % (2 * (slashes + 1)) == slashes;
            match byte {
                b'\n' | b'\r' => 0,
                _ if closes => 0,
                b'\\' => escapes + usize::from(after == Some(quote)),
                _ => 1,
            }
        }
        Style::Triple(quote) => usize::from(!finder.from(at).starts_with(&[quote, quote, quote])),
        Style::Element => usize::from(byte != b'<'),
        Style::Data => usize::from(!finder.from(at).starts_with(b"]]>")),
        Style::Braced => usize::from(byte != b'}' && byte != b'\n'),
        Style::Ticked => usize::from(byte != b'`' && byte != b'\n'),
        Style::Until(ends) => usize::from(!ends.contains(&byte) && (ends == RAW || !finder.is_escape(at))),
        Style::Bare(_) | Style::Shell if finder.is_escape(at) => 0,
        Style::Bare(_) | Style::Shell if byte == b'\\' && finder.text.get(at + 1) == Some(&b' ') => 2,
        Style::Bare(ends) => usize::from(!byte.is_ascii_whitespace() && !ends.contains(&byte)),
        Style::Shell => {
            let ends = b",;&|)}<>".contains(&byte) && is_end(finder.text.get(at + 1).copied());
            usize::from(!byte.is_ascii_whitespace() && !b"\"'`".contains(&byte) && !ends)
        }
    }
}

/// Whether what stands at `at` names what is to be put there, and is no secret by its own form.
pub(super) fn is_open(finder: &mut Finder<'_>, at: usize) -> bool {
    let inside = at + usize::from(finder.text.get(at).is_some_and(|byte| b"$%<{".contains(byte)));
    is_left_open(finder.from(at)) && form::token(finder, inside).is_none() && hash::hash(finder, at).is_none()
}

/// Whether `value` names what is to be put there, or there is none.
fn is_left_open(value: &[u8]) -> bool {
    let rest = value.get(1..).unwrap_or_default();
    match value.first() {
        None => true,
        Some(b'<') => {
            let length = rest.iter().take(64).take_while(|byte| byte.is_ascii_alphanumeric() || b"_- .".contains(byte)).count();
            rest.first() != Some(&b'!') && rest.get(length).is_none_or(|byte| *byte == b'>')
        }
        Some(b'{') => {
            let name = rest.iter().take(64).take_while(|byte| byte.is_ascii_alphabetic() || b"_-.".contains(byte)).count();
            rest.first().is_none_or(|byte| byte.is_ascii_whitespace() || b"{%\"'\\}".contains(byte))
                || rest.get(name) == Some(&b'}')
        }
        Some(b'*') => is_masked(value),
        Some(b'$') => match rest.first() {
            Some(b'{' | b'(') => true,
            Some(b'$') => rest.get(1).is_some_and(|byte| byte.is_ascii_alphabetic() || b"_{(".contains(byte)),
            _ => is_variable(rest, |after| after.is_none_or(|byte| is_boundary(byte) || byte == b'$')),
        },
        Some(b'%') => {
            let is_format =
                rest.first().is_some_and(u8::is_ascii_alphabetic) && rest.get(1).is_none_or(|byte| is_boundary(*byte));
            is_format || is_variable(rest, |after| after == Some(b'%'))
        }
        _ => false,
    }
}

/// Whether the name of a variable is there, with something `after` it that ends one.
fn is_variable(rest: &[u8], after: impl Fn(Option<u8>) -> bool) -> bool {
    let is_name = rest.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    let length = rest.iter().take(WEIGHED).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    is_name && after(rest.get(length).copied())
}

/// Whether no name goes on with it.
fn is_boundary(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"\"'`/:@;&|,)}]<>\\".contains(&byte)
}
