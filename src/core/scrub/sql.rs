//! Passwords in statements of SQL: `IDENTIFIED BY '…'`, `SET PASSWORD FOR u = '…'`. `PASSWORD '…'` is in `said.rs`.

use std::ops::Range;

use super::finder::{Finder, is_word};
use super::names::Named;
use super::value::{self, Style, Weight};

/// How far the value may be from the words.
const APART: usize = 128;

/// The password in the clause that begins at `at`.
pub(super) fn secret(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let start = if finder.says(at, b"identified") { identified(finder, at + 10)? } else { set(finder, at)? };
    let (start, style) = value::style(finder, start, Style::Bare(b"\"'`,;()"))?;
    let value = value::read(finder, start, style);
    value.is_secret(Named::Password, Weight::Any).then_some(value.span)
}

/// After `[WITH plugin] BY|AS|USING [PASSWORD]`.
fn identified(finder: &mut Finder<'_>, at: usize) -> Option<usize> {
    let mut at = at;
    for _ in 0..4 {
        let blank = finder.gap(at, 16);
        let word = finder.run(at + blank, 40, |byte| is_word(byte) || byte == b'`' || byte == b'-');
        let is_by = [b"by".as_slice(), b"as", b"using"].iter().any(|by| word == by.len() && finder.says(at + blank, by));
        if blank == 0 || word == 0 {
            return None;
        }
        at += blank + word;
        if is_by {
            let blank = finder.gap(at, 16);
            let is_hash = finder.says(at + blank, b"password") && matches!(finder.text.get(at + blank + 8), Some(b' ' | b'('));
            let start = at + blank + if is_hash { 8 } else { 0 };
            let more = if is_hash { finder.gap(start, 16) + finder.run(start, 1, |byte| byte == b'(') } else { 0 };
            return (blank > 0 || finder.text.get(start).is_some_and(|byte| b"'\"".contains(byte))).then_some(start + more);
        }
    }
    None
}

/// After `SET PASSWORD … =`.
fn set(finder: &mut Finder<'_>, at: usize) -> Option<usize> {
    if !finder.says(at, b"set password") {
        return None;
    }
    let words = at + 12 + finder.blanks(at + 12, 8);
    if finder.text.get(words) != Some(&b'=') && !finder.says(words, b"for ") {
        return None;
    }
    let away = finder.run(at, APART, |byte| byte != b'=' && byte != b'\n' && byte != b';');
    let is_there = finder.text.get(at + away) == Some(&b'=');
    let start = at + away + 1;
    is_there.then(|| start + finder.blanks(start, 8))
}
