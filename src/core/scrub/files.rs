//! Files that hold nothing but credentials: `.netrc` and `.pgpass`.

use std::ops::Range;

use super::finder::{Finder, is_word};
use super::names::Named;
use super::value::{self, Style, Weight};

/// The longest name of a machine, a database or a user.
const FIELD: usize = 64;

/// The password in the entry of a `.netrc` that begins at `at`, or goes on there.
pub(super) fn netrc(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let is_word_at = |finder: &mut Finder<'_>, at: usize, word: &[u8]| {
        finder.is_at(at, word) && finder.text.get(at + word.len()).is_none_or(|byte| !is_word(*byte))
    };
    let starts = is_word_at(finder, at, b"machine");
    let is_default = is_word_at(finder, at, b"default");
    let mut at = if starts {
        skip_word(finder, at + 7)?
    } else if is_default {
        at + 7
    } else {
        at
    };
    for nth in 0..5 {
        at += finder.gap(at, FIELD);
        if is_word_at(finder, at, b"password") {
            let gap = finder.gap(at + 8, FIELD);
            if nth == 0 && !starts || gap == 0 {
                return None;
            }
            let (start, style) = value::style(finder, at + 8 + gap, Style::Bare(b"\"'"))?;
            return value::secret(finder, Named::Password, if starts { Weight::Any } else { Weight::Said }, start, style);
        }
        let known = [b"login".as_slice(), b"account", b"user"].into_iter().find(|word| is_word_at(finder, at, word))?;
        at = skip_word(finder, at + known.len())?;
    }
    None
}

/// Where the word ends that follows `at`.
fn skip_word(finder: &mut Finder<'_>, at: usize) -> Option<usize> {
    let gap = finder.gap(at, FIELD);
    let word = finder.run(at + gap, FIELD, |byte| byte.is_ascii_graphic() && byte != b'\\');
    (gap > 0 && word > 0).then_some(at + gap + word)
}

/// The password in the line of a `.pgpass` whose first `:` is at `at`: `host:port:database:user:…`.
pub(super) fn pgpass(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let is_of_field = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*/".contains(&byte);
    let port = finder.run(at + 1, 5, |byte| byte.is_ascii_digit() || byte == b'*');
    let is_port = port >= 4 || finder.text.get(at + 1..at + 1 + port) == Some(b"*");
    if !is_port || finder.text.get(at + 1 + port) != Some(&b':') {
        return None;
    }
    let before = finder.look_back(at, FIELD);
    let host = before.iter().rev().take_while(|byte| is_of_field(**byte)).count();
    let left = before.iter().rev().nth(host).copied();
    if host == 0 || !left.is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'n".contains(&byte)) {
        return None;
    }
    let base = at + 2 + port;
    let database = finder.run(base, FIELD, is_of_field);
    let user = base + database + 1;
    let length = finder.run(user, FIELD, |byte| is_of_field(byte) || byte == b'@');
    let start = user + length + 1;
    let parted = |place: usize| finder.text.get(place) == Some(&b':');
    let is_named = finder.text.get(user).is_some_and(|byte| byte.is_ascii_alphabetic() || b"_*".contains(byte));
    if database == 0 || length == 0 || !parted(user - 1) || !parted(start - 1) || !is_named {
        return None;
    }
    let value = value::read(finder, start, Style::Bare(b"\"'"));
    // Addresses of IPv6 have fields of up to four hexadecimal digits.
    let is_digits = |field: &[u8]| field.len() <= 4 && field.iter().all(u8::is_ascii_hexdigit);
    let fields = [at - host..at, base..user - 1, user..start - 1];
    let is_address = fields.into_iter().all(|field| finder.text.get(field).is_some_and(is_digits));
    (!is_address && value.is_secret(Named::Password, Weight::Given)).then_some(value.span)
}
