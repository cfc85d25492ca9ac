//! Private keys in armour: PEM, OpenSSH, PGP, SSH2, PuTTY. Also what is known of a text that begins inside one.
//!
//! INVARIANT: a key without an end goes on to the end of the text; what may be the rest of one, at the beginning of a text
//! that was torn off, is one.

use std::ops::Range;

use super::finder::{ARMOUR, Finder};
use super::form::is_token;

/// Longest label of an armour.
const MAX_LENGTH: usize = 72;

/// Shortest line of a key that is not its last.
const LINE: usize = 40;

/// How an armour ends.
const ENDS: [&[u8]; 2] = [b"-----END ", b"---- END "];

/// PuTTY's: the lines of the key, and the line after them.
const PUTTY: (&[u8], &[u8]) = (b"Private-Lines:", b"Private-MAC:");

/// The private key whose armour begins at `at`.
pub(super) fn key(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    matches!(finder.text.get(at), Some(b'-' | b'P')).then(|| armoured(finder, at)).flatten()
}

fn armoured(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    if finder.is_at(at, PUTTY.0) {
        let mac = finder.next(at, &[PUTTY.1]);
        let end = mac.map(|mac| mac + finder.run(mac, usize::MAX, |byte| byte != b'\n'));
        return Some(at..end.unwrap_or(finder.text.len()));
    }
    let begin = ARMOUR.iter().find(|begin| finder.is_at(at, begin))?;
    if !is_private(finder.from(at + begin.len())) {
        return None;
    }
    let end = end_of_armour(finder, at);
    Some(at..end.unwrap_or(finder.text.len()))
}

/// Whether an armour of this label holds a private key.
fn is_private(label: &[u8]) -> bool {
    let label = label.get(..MAX_LENGTH).unwrap_or(label);
    let line = label.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let label = line.windows(4).position(|window| window == b"----").map_or(line, |end| line.get(..end).unwrap_or_default());
    !label.contains(&b'[') && label.windows(11).any(|window| window == b"PRIVATE KEY")
}

/// Where the first armour that ends from `at` on has ended.
fn end_of_armour(finder: &mut Finder<'_>, at: usize) -> Option<usize> {
    let start = finder.next(at, &ENDS)?;
    let label = finder.run(start, 5, |byte| byte == b'-') + start;
    let label = label + finder.run(label, MAX_LENGTH, |byte| byte != b'-' && byte != b'\n');
    Some(label + finder.run(label, 5, |byte| byte == b'-'))
}

/// How much at the beginning of a text that was torn off may be the rest of a secret: a word that has no beginning, lines
/// that hold nothing but what a key is written with, and everything up to the end of a key that did not begin here.
pub(super) fn torn(finder: &mut Finder<'_>) -> usize {
    let word = finder.run(0, usize::MAX, is_token);
    word.max(lines(finder)).max(headless(finder))
}

/// Where the lines end that a key could consist of. The first may be the rest of any line, the last is short.
fn lines(finder: &mut Finder<'_>) -> usize {
    let is_end = |byte: u8| byte == b'\r' || byte == b'\n';
    let first = finder.run(0, MAX_LENGTH, |byte| !is_end(byte));
    let begin = first + finder.run(first, 2, is_end);
    let (mut end, mut found) = (begin, 0);
    loop {
        let line = finder.run(end, usize::MAX, |byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        let next = end + line + finder.run(end + line, 2, is_end);
        if line < LINE || (next == end + line && next < finder.text.len()) {
            // A line that ends otherwise is no line of a key.
            let is_last = line > 0 && (next > end + line || next >= finder.text.len());
            return if found == 0 {
                0
            } else if is_last {
                next
            } else {
                end
            };
        }
        (end, found) = (next, found + 1);
        if next >= finder.text.len() {
            return next;
        }
    }
}

/// Where a key ends that began before the text.
fn headless(finder: &mut Finder<'_>) -> usize {
    let begins = finder.next(0, &ARMOUR).unwrap_or(usize::MAX);
    let armour = finder.next(0, &ENDS).filter(|end| *end < begins && is_private(finder.from(*end)));
    let armour = armour.and_then(|end| end_of_armour(finder, end)).unwrap_or(0);
    let lines = finder.next(0, &[PUTTY.0]).unwrap_or(usize::MAX);
    let putty = finder.next(0, &[PUTTY.1]).filter(|mac| *mac < lines);
    putty.map_or(armour, |mac| armour.max(mac + finder.run(mac, usize::MAX, |byte| byte != b'\n')))
}
