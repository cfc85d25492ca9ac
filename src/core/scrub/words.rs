//! Secrets that commands are given as words of their own: `aws configure set aws_secret_access_key …`, `nmcli … password …`,
//! `vault login …`.
//!
//! INVARIANT: a word is a secret only after the command that takes it as one; the same words in a sentence stay.

use std::ops::Range;

use super::finder::Finder;
use super::names::{NAME, Named, named};
use super::value::{self, Style, Weight};

/// What a value without quotes ends at.
const ENDS: &[u8] = b"\"'`|<>;&";

/// How far before `set` the word stands that says what is set.
const BEFORE: usize = 16;

/// Most options between a command and what it is given.
const OPTIONS: usize = 4;

/// Longest word that is passed over.
const PASSED: usize = 256;

/// Commands, how many words they are given first, and how much it takes for the next one to be a secret.
const GIVEN: &[(&[u8], usize, Weight)] = &[
    (b"vault login", 0, Weight::Said),
    (b"wpa_passphrase", 1, Weight::Any),
    (b"rabbitmqctl add_user", 1, Weight::Any),
    (b"rabbitmqctl change_password", 1, Weight::Any),
    (b"htpasswd -b", 2, Weight::Any),
    (b"htpasswd -bc", 2, Weight::Any),
    (b"mosquitto_passwd -b", 2, Weight::Any),
    (b"mc alias set", 3, Weight::Any),
];

/// The secret that the word at `at` announces.
pub(super) fn secret(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    if finder.says(at, b"set ") {
        return set(finder, at);
    }
    if finder.command.is_some_and(|command| command.is("nmcli")) {
        return property(finder, at);
    }
    let first = finder.text.get(at)?.to_ascii_lowercase();
    let mut known = GIVEN.iter().filter(|(command, ..)| command.first() == Some(&first));
    let (command, words, weight) = known.rfind(|(command, ..)| finder.says(at, command))?;
    given(finder, at + command.len(), *words, *weight)
}

/// `configure set NAME …` and `config set NAME …`, of whichever command.
fn set(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let before = finder.look_back(at, BEFORE).to_ascii_lowercase();
    let before = before.trim_ascii_end();
    if !before.ends_with(b"configure") && !before.ends_with(b"config") {
        return None;
    }
    let name = at + 3 + finder.blanks(at + 3, 8);
    property(finder, name)
}

/// The value in the word after the name at `at`.
fn property(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let length = finder.run(at, NAME * 2, |byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte));
    let kind = named(finder.text.get(at..at + length)?).filter(|kind| *kind != Named::Bot)?;
    let start = next(finder, at + length)?;
    let (start, style) = value::style(finder, start, Style::Bare(ENDS))?;
    let value = value::read(finder, start, style);
    let kind = if kind == Named::Password { kind } else { Named::Key };
    value.is_secret(kind, Weight::Given).then_some(value.span)
}

/// The word after so many others.
fn given(finder: &mut Finder<'_>, at: usize, words: usize, weight: Weight) -> Option<Range<usize>> {
    let mut start = next(finder, at)?;
    for _ in 0..OPTIONS {
        if finder.text.get(start) != Some(&b'-') {
            break;
        }
        start = over(finder, start)?;
    }
    for _ in 0..words {
        start = over(finder, start)?;
    }
    let (start, style) = value::style(finder, start, Style::Bare(ENDS))?;
    let value = value::read(finder, start, style);
    // `vault login username=ada` names what it is given.
    let is_pair = weight == Weight::Said && value.plain.contains(&b'=');
    let is_known = weight == Weight::Said && [b"s.".as_slice(), b"b.", b"r."].iter().any(|kind| value.plain.starts_with(kind));
    (!is_pair && (is_known || value.is_secret(Named::Key, weight))).then_some(value.span)
}

/// Where the word after `at` begins.
fn next(finder: &mut Finder<'_>, at: usize) -> Option<usize> {
    let blank = finder.blanks(at, 8);
    (blank > 0 && finder.text.get(at + blank).is_some()).then_some(at + blank)
}

/// Where the word after the one at `at` begins. Only a plain word is passed over: one with a mark in it, or in quotes, may have
/// been more than a word before it was scrubbed.
fn over(finder: &mut Finder<'_>, at: usize) -> Option<usize> {
    let length = finder.run(at, PASSED, |byte| byte.is_ascii_alphanumeric() || b"_-./:=@%+".contains(&byte));
    (length > 0).then(|| next(finder, at + length)).flatten()
}
