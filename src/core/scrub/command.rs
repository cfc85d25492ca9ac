//! Secrets that commands are given as options: `mysql -p…`, `curl -su ada:…`, `sshpass -p …`.
//!
//! INVARIANT: what a short option means is up to its command; it is the last one that was named in the line, whether it has
//! secrets or not, so that `-p 8080:80` and `-u 1000:1000` stay. A long option says by its name what it is given.

use std::ops::Range;

use super::commands::Gives::{After, Cookie, Joined, Secret};
use super::commands::named;
use super::finder::{Finder, is_word};
use super::names::{self, NAME, Name, Named};
use super::value::{self, Style, Weight};

/// The longest name of a command.
const MAX_LENGTH: usize = 24;

/// Notices which command the word at `at` is.
pub(super) fn begin(finder: &mut Finder<'_>, at: usize) {
    let length = finder.run(at, MAX_LENGTH, |byte| is_word(byte) || byte == b'-');
    let left = finder.before(at);
    let is_apart = left.is_none_or(|byte| byte.is_ascii_whitespace() || b"/\"'`(;|&$>#=n".contains(&byte));
    let is_over = finder.text.get(at + length).is_none_or(|byte| byte.is_ascii_whitespace() || b"\\\"'".contains(byte));
    let known = finder.text.get(at..at + length).and_then(named);
    if let Some(command) = known.filter(|_| is_apart && is_over) {
        finder.command = Some(command);
    }
}

/// The value of the option of a command at `at`.
pub(super) fn option(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    if finder.before(at).is_some_and(|byte| is_word(byte) || byte == b'-') {
        return None;
    }
    let dashes = finder.run(at, 3, |byte| byte == b'-');
    let length = finder.run(at + dashes, NAME, |byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let name = finder.text.get(at + dashes..at + dashes + length)?;
    let long = (dashes == 2 || length > 3).then(|| names::named(name)).flatten().filter(|kind| *kind != Named::Bot);
    let end = at + dashes + length;
    if let Some(span) = long.and_then(|kind| long_option(finder, kind, dashes, end)) {
        return Some(span);
    }
    if dashes == 1 {
        return short_option(finder, at + 1);
    }
    let start = next_word(finder, end)?;
    pair(finder, name, start)
}

/// Where the word begins that an option is given, if it is given one.
fn next_word(finder: &mut Finder<'_>, at: usize) -> Option<usize> {
    let blank = finder.blanks(at, 8);
    (blank > 0 && finder.text.get(at + blank) != Some(&b'-')).then_some(at + blank)
}

fn long_option(finder: &mut Finder<'_>, kind: Named, dashes: usize, end: usize) -> Option<Range<usize>> {
    let start = next_word(finder, end)?;
    let source = [b"pass:".as_slice(), b"env:", b"file:"].into_iter().find(|source| finder.is_at(start, source));
    let start = match source {
        Some(b"pass:") => start + 5,
        Some(_) => return None,
        None => start,
    };
    let (start, style) = value::style(finder, start, Style::Bare(b"\"'`|<>"))?;
    let weight = match kind {
        Named::Password if dashes == 2 || source.is_some() => Weight::Given,
        Named::Header if dashes == 2 => Weight::Any,
        _ => Weight::Said,
    };
    let value = value::read(finder, start, style);
    // What is joined by a `=` says itself what it is.
    let is_named = kind == Named::Header && !value.plain.contains(&b'=');
    (!is_named && value.is_secret(kind, weight)).then_some(value.span)
}

/// What the short options in the word at `at` are given by the command that they are of.
fn short_option(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let command = finder.command.filter(|command| !command.options.is_empty())?;
    let before =
        finder.run(at, 16, |byte| command.plain.contains(&byte) && !command.options.iter().any(|(flag, _)| *flag == byte));
    let flag = finder.text.get(at + before).copied()?;
    let gives = command.options.iter().find(|(known, _)| *known == flag)?.1;
    let after = at + before + 1;
    let is_joined = finder.text.get(after).is_some_and(|byte| !byte.is_ascii_whitespace() && !b"|<>;&)".contains(byte));
    let start = if is_joined { after } else { next_word(finder, after).filter(|_| gives != Joined)? };
    let start = start + usize::from(is_joined && finder.text.get(start) == Some(&b'='));
    match gives {
        After(marks) => second(finder, start, marks),
        Cookie => {
            let (start, style) = value::style(finder, start, Style::Bare(b"\"'`|<>"))?;
            let value = value::read(finder, start, style);
            (value.plain.contains(&b'=') && value.is_secret(Named::Header, Weight::Any)).then_some(value.span)
        }
        Secret | Joined => {
            let (start, style) = value::style(finder, start, Style::Bare(b"\"'`|<>"))?;
            let value = value::read(finder, start, style);
            let is_short = is_joined && value.plain.len() < 3 && !value.goes_on;
            (!is_short && value.is_secret(Named::Password, Weight::Any)).then_some(value.span)
        }
    }
}

/// What `--user=ada:…` is given: the name is before the `=` at `after - 1`.
pub(super) fn given(finder: &mut Finder<'_>, name: &Name<'_>, after: usize) -> Option<Range<usize>> {
    let option = name.text.strip_prefix(b"--").filter(|_| name.apart == 0)?;
    (finder.text.get(after - 1) == Some(&b'=')).then(|| pair(finder, option, after)).flatten()
}

/// A user and a secret that a long option is given, by the commands that take both in one word.
fn pair(finder: &mut Finder<'_>, name: &[u8], start: usize) -> Option<Range<usize>> {
    let signs_in = [b"user".as_slice(), b"proxy-user", b"auth", b"cert", b"proxy-cert"].contains(&name);
    let first = finder.command.filter(|_| signs_in)?.options.first()?;
    match first.1 {
        After(marks) => second(finder, start, marks),
        _ => None,
    }
}

/// What follows the first of `marks` in the word at `start`.
fn second(finder: &mut Finder<'_>, start: usize, marks: &[u8]) -> Option<Range<usize>> {
    let (begin, style) = if let Some(found) = value::style(finder, start, Style::Bare(b"\"'`|<>")) {
        found
    } else {
        // `$USER:…`: who is left open, the secret may be given all the same.
        let quote = finder.text.get(start).copied().filter(|byte| b"\"'".contains(byte));
        let style = quote.map_or(Style::Bare(b"\"'`|<>"), |quote| Style::Quoted(quote, 0));
        (start + usize::from(quote.is_some()), style)
    };
    let who = finder.run(begin, NAME * 2, |byte| byte.is_ascii_graphic() && !marks.contains(&byte) && !b"\"'`".contains(&byte));
    let at = begin + who + 1;
    let is_given = finder.text.get(begin + who).is_some_and(|byte| marks.contains(byte)) && !value::is_open(finder, at);
    is_given.then(|| value::secret(finder, Named::Password, Weight::Any, at, style)).flatten()
}
