//! Secrets that are known by what they are called: headers, passwords and keys that are given to a name.
//!
//! INVARIANT: a name that a program puts a value in the place of (`$TOKEN`, `{{ token }}`) is no secret, nor is what was
//! replaced already; what stands beside a mark is.

use std::ops::Range;

use super::command;
use super::finder::Finder;
use super::form::is_token;
use super::names::{self, NAME, Name, Named, named};
use super::value::{self, BARE, LINE, RAW, Style, Value, WEIGHED, Weight};
use super::yaml;

/// What calls a name, where the name and its value are two fields beside each other.
const CALLED: &[&[u8]] =
    &[b"name", b"key", b"id", b"field", b"variable", b"parameterkey", b"parametername", b"type", b"property"];

/// How far apart the two may be.
const PAIRED: usize = 128;

/// How deep a default may stand in a default.
const NESTED: usize = 4;

/// The value that the name before the sign at `at`, which is `sign` bytes long, is given.
pub(super) fn value(finder: &mut Finder<'_>, at: usize, sign: usize) -> Option<Range<usize>> {
    let name = names::before(finder, at)?;
    let is_colon = finder.text.get(at) == Some(&b':');
    if let Some(span) = command::given(finder, &name, at + 1) {
        return Some(span);
    }
    let Some(kind) = name.is() else { return pair(finder, &name, at + sign) };
    let mut start = at + sign;
    start += finder.run(start, 1, |byte| byte == b'=' || (byte == b'>' && !is_colon));
    start += finder.blanks(start, NAME);
    if kind == Named::Bot {
        let end = start + finder.run(start, WEIGHED, is_token);
        let is_secret = is_colon && start == at + 1 && (end - start >= 35 || finder.goes_on(end));
        return is_secret.then(|| start..finder.end_of(start, is_token));
    }
    if kind == Named::Header {
        return header(finder, &name, start, is_colon);
    }
    if is_colon {
        start = yaml::described(finder, start);
        if let Some(span) = yaml::below(finder, &name, kind, start) {
            return Some(span);
        }
    }
    assigned(finder, kind, &name, start, is_colon)
}

/// A header's value, to the end of its line; the word that says of which kind it is stays.
fn header(finder: &mut Finder<'_>, name: &Name<'_>, start: usize, is_colon: bool) -> Option<Range<usize>> {
    let bare = match finder.before(name.start) {
        _ if !is_colon => Style::Bare(b"\"'`&,;"),
        Some(b'"') => LINE,
        Some(b'\'') => Style::Until(b"\n\r'"),
        _ if yaml::is_bare(finder, name.start) => Style::Until(RAW),
        _ => Style::Until(b"\n\r\"'`"),
    };
    let (mut start, style) = value::style(finder, start, bare)?;
    let scheme = finder.run(start, 32, |byte| byte.is_ascii_alphabetic());
    let blank = finder.run(start + scheme, 8, |byte| byte == b' ');
    if scheme > 0 && blank > 0 {
        start += scheme + blank;
        if value::is_open(finder, start) {
            return None;
        }
    }
    value::secret(finder, Named::Header, Weight::Any, start, style)
}

fn assigned(finder: &mut Finder<'_>, kind: Named, name: &Name<'_>, start: usize, is_colon: bool) -> Option<Range<usize>> {
    let is_line = yaml::begins_line(finder, name.start);
    let left = finder.before(name.start);
    let is_query = left.is_some_and(|byte| b"?&".contains(&byte));
    let is_shell = name.is_variable() && !is_colon && start == name.start + name.text.len() + 1;
    let bare = if is_shell && left.is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'".contains(&byte)) {
        Style::Shell
    } else if is_line && kind == Named::Password && (name.apart > 0 || is_colon) {
        LINE
    } else {
        Style::Bare(BARE)
    };
    let (begin, style) = value::style(finder, start, bare)?;
    let given = style != bare || name.quoted || is_query || is_shell;
    let weight = match kind {
        Named::Password if given || !is_colon => Weight::Given,
        Named::Key if is_query || is_shell => Weight::Given,
        _ => Weight::Said,
    };
    // Where the shell keeps the directory that it is in.
    if finder.text.get(begin) == Some(&b'/') && name.text.to_ascii_lowercase().ends_with(b"pwd") {
        return None;
    }
    if bare == LINE && style == bare && is_colon {
        // A sentence is weighed by its first word.
        let first = value::read(finder, begin, Style::Bare(BARE));
        return first.is_secret(kind, weight).then(|| value::read(finder, begin, LINE).span);
    }
    let value = value::read(finder, begin, style);
    if !is_colon && let Some(span) = joined(finder, start, &value) {
        // What is left is no quoted text any more, so it goes as far as one without quotes.
        return Some(start..value::read(finder, span.end, bare).span.end.max(span.end));
    }
    value.is_secret(kind, weight).then_some(value.span)
}

/// What the shell joins to a value in quotes is of it: `'it'"'"'s'`.
fn joined(finder: &mut Finder<'_>, start: usize, first: &Value) -> Option<Range<usize>> {
    let Style::Quoted(_, 0) = first.style else { return None };
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"\"'$".contains(byte);
    let (mut end, mut plain) = (first.span.end + 1, first.plain.len());
    while first.closed && finder.text.get(end).is_some_and(goes_on) {
        let value = match finder.text.get(end).copied() {
            Some(quote @ (b'"' | b'\'')) => value::read(finder, end + 1, Style::Quoted(quote, 0)),
            _ => value::read(finder, end, Style::Bare(BARE)),
        };
        let quoted = usize::from(matches!(value.style, Style::Quoted(..)));
        if quoted == 1 && !value.closed && !value.goes_on {
            break;
        }
        plain += value.plain.len();
        end = value.span.end + quoted;
    }
    (end > first.span.end + 1 && plain >= 4).then_some(start..end.min(finder.text.len()))
}

/// What is given to a name that is a value itself: `name: DB_PASSWORD`, and then `value: …`.
fn pair(finder: &mut Finder<'_>, name: &Name<'_>, after: usize) -> Option<Range<usize>> {
    if !CALLED.iter().any(|called| name.text.eq_ignore_ascii_case(called)) {
        return None;
    }
    let mut at = after + finder.blanks(after, 8);
    at += finder.run(at, 4, |byte| b"\"'\\".contains(&byte));
    let length = finder.run(at, NAME, |byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let kind = named(finder.text.get(at..at + length)?).filter(|kind| *kind != Named::Bot)?;
    let from = at + length;
    let near = finder.run(from, PAIRED, |byte| !b"<>{}".contains(&byte));
    let found = finder.text.get(from..from + near)?.windows(5).position(|word| word.eq_ignore_ascii_case(b"value"))?;
    at = from + found + 5;
    at += finder.run(at, 4, |byte| b"\"'\\".contains(&byte));
    at += finder.blanks(at, 4);
    if !matches!(finder.text.get(at), Some(b':' | b'=')) {
        return None;
    }
    let start = at + 1 + finder.blanks(at + 1, 8);
    let (start, style) = value::style(finder, start, Style::Bare(BARE))?;
    let kind = if kind == Named::Header { Named::Password } else { kind };
    value::secret(finder, kind, Weight::Given, start, style)
}

/// A value after a sign that is written for an address: `password%3D…`.
pub(super) fn encoded(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    if !finder.says(at, b"%3d") && !finder.says(at, b"%3a") {
        return None;
    }
    let kind = names::before(finder, at)?.is().filter(|kind| *kind != Named::Bot)?;
    value::secret(finder, kind, Weight::Given, at + 3, Style::Bare(BARE))
}

/// What a function of this name is called with, or what follows a name in a list: `password("…")`, `"password", "…"`.
pub(super) fn argument(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    const ASKS: &[&str] = &["get", "read", "ask", "prompt", "env", "find", "fetch", "load", "is", "has", "check", "input"];
    let name = names::before(finder, at)?;
    let kind = name.is().filter(|kind| matches!(kind, Named::Password | Named::Key))?;
    let is_list = finder.text.get(at) == Some(&b',');
    let start = at + 1 + finder.gap(at + 1, 16);
    let (start, style) = value::style(finder, start, Style::Bare(b""))?;
    let called = String::from_utf8_lossy(name.text).to_ascii_lowercase();
    let is_asked = !is_list && ASKS.iter().any(|asks| called.starts_with(asks));
    let Style::Quoted(..) = style else { return None };
    if is_asked || name.quoted != is_list || (!is_list && name.apart > 0) {
        return None;
    }
    let is_option = name.text.starts_with(b"--");
    value::secret(finder, kind, if is_list && !is_option { Weight::Said } else { Weight::Given }, start, style)
}

/// What the shell puts in the place of a variable that is not set: `${DB_PASSWORD:-…}`.
pub(super) fn default(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let mut at = at;
    let mut is_called = false;
    for _ in 0..NESTED {
        if !finder.is_at(at, b"${") {
            break;
        }
        let length = finder.run(at + 2, NAME, is_of_name);
        is_called |= named(finder.text.get(at + 2..at + 2 + length)?).is_some();
        at += 2 + length;
        at += finder.run(at, 1, |byte| byte == b':');
        at += matches!(finder.text.get(at), Some(b'-' | b'=' | b'+')).then_some(1)?;
    }
    let (start, style) = value::style(finder, at, Style::Bare(b"}\"`"))?;
    is_called.then(|| value::secret(finder, Named::Password, Weight::Given, start, style)).flatten()
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
