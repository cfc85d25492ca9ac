//! Secrets that a sentence or a command says: after `Bearer` and `Basic`, in quotes after the word for it, and what is piped
//! or handed into a command that takes a password.

use std::ops::Range;

use super::finder::{Finder, MARK};
use super::form::is_token;
use super::names::{self, Named};
use super::value::{self, Style, WEIGHED, Weight};

/// How far a line is looked at for the command that something is piped into.
const PIPED: usize = 256;

/// What takes a password, or users with theirs, from what is piped into it.
const TAKES: &[&[u8]] = &[
    b"chpasswd",
    b"--stdin",
    b"password-stdin",
    b"sudo -s",
    b"sudo -ks",
    b"sudo --stdin",
    b"passwd",
    b"cryptsetup",
    b"kinit",
    b"--with-token",
    b"faillock",
];

/// Whether a command that takes one is in `line`, which is in small letters.
fn takes(line: &[u8]) -> bool {
    TAKES.iter().any(|takes| line.windows(takes.len()).any(|part| part == *takes))
}

/// The token after the word for a scheme (`bearer`, `basic`) at `at`.
pub(super) fn scheme(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let is_basic = finder.says(at, b"basic");
    if !is_basic && !finder.says(at, b"bearer") {
        return None;
    }
    let word = if is_basic { 5 } else { 6 };
    let blank = finder.blanks(at + word, 4);
    let start = at + word + blank;
    let mut begin = start;
    while finder.is_marked(begin) {
        begin += MARK.len();
    }
    let length = finder.run(begin, WEIGHED, is_token);
    let value = finder.text.get(begin..begin + length)?;
    let goes_on = finder.goes_on(begin + length);
    let is_secret = if is_basic {
        value::is_pair(value) || (goes_on && length >= 8)
    } else {
        (length >= 16 && value.iter().any(u8::is_ascii_digit)) || length >= 32 || goes_on
    };
    (blank > 0 && length > 0 && is_secret).then(|| start..finder.end_of(begin, is_token))
}

/// What stands in quotes after a word for a password: `PASSWORD '…'`.
pub(super) fn quoted(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    finder.before(at).filter(u8::is_ascii_whitespace)?;
    let name = names::before(finder, at)?;
    if name.is() != Some(Named::Password) || name.quoted || name.apart == 0 {
        return None;
    }
    let (start, style) = value::style(finder, at, Style::Bare(b""))?;
    let value = value::read(finder, start, style);
    ((value.closed || value.goes_on) && value.is_secret(Named::Password, Weight::Given)).then_some(value.span)
}

/// What `echo` at `at` says to a command that takes passwords.
pub(super) fn piped(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let word = [b"echo ".as_slice(), b"printf "].into_iter().find(|word| finder.is_at(at, word))?;
    let mut start = at + word.len();
    while finder.text.get(start) == Some(&b'-') {
        let option = finder.run(start, 8, |byte| byte.is_ascii_graphic());
        start += option + finder.blanks(start + option, 4);
    }
    let said = finder.run(start, PIPED, |byte| byte != b'\n' && byte != b'|');
    let rest = start + said;
    if finder.text.get(rest) != Some(&b'|') {
        return None;
    }
    let line = finder.run(rest, PIPED, |byte| byte != b'\n');
    let after = finder.text.get(rest..rest + line)?.to_ascii_lowercase();
    let takes = takes(&after);
    let end = rest - finder.text.get(start..rest)?.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
    let bare = finder.text.get(start..end)?.strip_prefix(b"\"").and_then(|said| said.strip_suffix(b"\""));
    let (start, end) = if bare.is_some() { (start + 1, end - 1) } else { (start, end) };
    if !takes || value::is_open(finder, start) {
        return None;
    }
    let plain = value::read(finder, start, Style::Until(b"\n\r|")).plain;
    (end > start && plain.iter().any(u8::is_ascii_alphanumeric)).then_some(start..end)
}

/// What such a command is handed in its line or in the lines below: `sudo -S <<< '…'`, `sudo -S <<END`. Of the lines below only
/// the first one is looked at: a password is one line.
pub(super) fn handed(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    if !finder.is_at(at, b"<<") || finder.before(at) == Some(b'<') {
        return None;
    }
    let before = finder.look_back(at, PIPED);
    let before = before.iter().rposition(|byte| *byte == b'\n').map_or(before, |end| before.get(end..).unwrap_or_default());
    // A line that hands something over already is read once.
    if before.windows(2).any(|part| part == b"<<") {
        return None;
    }
    let after = finder.run(at, PIPED, |byte| byte != b'\n');
    let after_end = at + after;
    let line = [before, finder.text.get(at..after_end)?].concat().to_ascii_lowercase();
    if !takes(&line) {
        return None;
    }
    let (start, style) = if finder.is_at(at, b"<<<") {
        let start = at + 3 + finder.blanks(at + 3, 8);
        value::style(finder, start, Style::Bare(b"\"'`|<>;&"))?
    } else if finder.text.get(after_end) == Some(&b'\n') {
        (after_end + 1, Style::Until(b"\n\r"))
    } else {
        return None;
    };
    let value = value::read(finder, start, style);
    value.is_secret(Named::Password, Weight::Any).then_some(value.span)
}
