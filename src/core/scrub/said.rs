//! Secrets that a sentence or a command says: after `Bearer` and `Basic`, in quotes after the word for it, and what is piped
//! into a command that takes a password.

use std::ops::Range;

use super::MARK;
use super::find::Finder;
use super::form::is_token;
use super::names::{self, Named};
use super::value::{self, Style, WEIGHED, Weight};

/// How far a line is looked at for the command that something is piped into.
const PIPED: usize = 256;

/// What takes a password, or users with theirs, from what is piped into it.
const TAKES: &[&[u8]] =
    &[b"chpasswd", b"--stdin", b"password-stdin", b"sudo -s", b"passwd", b"cryptsetup", b"kinit", b"--with-token", b"faillock"];

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
    let takes = TAKES.iter().any(|takes| after.windows(takes.len()).any(|part| part == *takes));
    let end = rest - finder.text.get(start..rest)?.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
    let bare = finder.text.get(start..end)?.strip_prefix(b"\"").and_then(|said| said.strip_suffix(b"\""));
    let (start, end) = if bare.is_some() { (start + 1, end - 1) } else { (start, end) };
    if !takes || value::is_open(finder, start) {
        return None;
    }
    let plain = value::read(finder, start, Style::Until(b"\n\r|")).plain;
    (end > start && plain.iter().any(u8::is_ascii_alphanumeric)).then_some(start..end)
}
