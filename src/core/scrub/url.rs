//! Passwords and tokens in addresses: `scheme://user:password@host`.

use std::ops::Range;

use super::finder::{Finder, MARK};
use super::value::{is_mixed, is_open};

/// A user of this length that has letters and digits is a token.
const LONG: usize = 20;

/// The password in the address whose `://` is at `at`, or the token in the place of the user.
pub(super) fn password(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    if !finder.is_at(at, b"://") {
        return None;
    }
    let start = at + 3;
    // Another address ends this one, so that no byte is read for two of them.
    let mut end = start;
    let mut is_marked = false;
    loop {
        if finder.is_marked(end) {
            (end, is_marked) = (end + MARK.len(), true);
        } else if finder.text.get(end).is_some_and(|byte| is_in_address(*byte)) && !ends(finder, end) {
            end += 1;
        } else {
            break;
        }
    }
    let whole = finder.text.get(start..end)?;
    let may_be_cut = finder.goes_on(end) && !is_host(whole);
    let length = user_info(whole).or_else(|| may_be_cut.then_some(whole.len()))?;
    let info = whole.get(..length)?;
    let colon = info.iter().position(|byte| *byte == b':').unwrap_or(length);
    let (user, given) = (info.get(..colon)?, info.get(colon + 1..).unwrap_or_default());
    let may_grow = may_be_cut && colon == length && !user.contains(&b'.');
    if (user.len() >= LONG || may_grow) && is_mixed(user) && !is_marked || given == b"x-oauth-basic" {
        return Some(start..start + length);
    }
    let is_given = !given.is_empty() && given != MARK.as_bytes() && !is_open(finder, start + colon + 1);
    is_given.then(|| start + colon + 1..start + length)
}

/// Whether something else begins at `at`.
fn ends(finder: &mut Finder<'_>, at: usize) -> bool {
    finder.is_at(at, b"://") || finder.is_escape(at) || finder.begins_armour(at)
}

/// Whether it can be in an address: people leave out escapes that they ought to write.
fn is_in_address(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !b"\"'`<>?#|,;".contains(&byte)
}

/// How long the user and password are at the beginning of what follows `://`. A password may have slashes in it, although
/// they ought to be escaped; a port has none.
fn user_info(address: &[u8]) -> Option<usize> {
    let slash = address.iter().position(|byte| *byte == b'/').unwrap_or(address.len());
    let last = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'@');
    last(address.get(..slash)?).or_else(|| last(address).filter(|_| !is_host(address)))
}

/// Whether a host stands at the beginning of `address`, and no user: it is in brackets, or there is a port or a slash after it.
fn is_host(address: &[u8]) -> bool {
    let Some(slash) = address.iter().position(|byte| *byte == b'/') else { return address.starts_with(b"[") };
    let host = address.get(..slash).unwrap_or_default();
    let port = host.iter().position(|byte| *byte == b':').and_then(|colon| host.get(colon + 1..));
    host.starts_with(b"[") || port.is_none_or(|port| port.iter().all(u8::is_ascii_digit))
}
