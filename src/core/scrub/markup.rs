//! Passwords in XML, HTML and property lists: an element that is called so, or one that follows an element that says so.

use std::ops::Range;

use super::finder::Finder;
use super::names::{NAME, Named, named};
use super::value::{self, Style, Weight};

/// How long a tag may be.
const TAG: usize = 192;

/// The secret in the element whose tag begins at `at`.
pub(super) fn element(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let (name, inside) = tag(finder, at)?;
    if is_secret(name) || names_one(finder, at, inside) {
        return content(finder, inside);
    }
    // `<key>password</key><string>…</string>`
    let length = finder.run(inside, NAME, |byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte));
    let called = finder.text.get(inside..inside + length)?;
    let end = inside + length;
    if !is_secret(called) || !finder.is_at(end, b"</") {
        return None;
    }
    let closed = end + finder.run(end, NAME * 2, |byte| byte != b'>') + 1;
    let next = closed + finder.gap(closed, NAME);
    let (_, inside) = tag(finder, next)?;
    content(finder, inside)
}

fn is_secret(name: &[u8]) -> bool {
    matches!(named(name), Some(Named::Password | Named::Key | Named::Header))
}

/// The name of the tag at `at`, without that of its space, and where what is in the element begins.
fn tag<'a>(finder: &mut Finder<'a>, at: usize) -> Option<(&'a [u8], usize)> {
    if finder.text.get(at) != Some(&b'<') {
        return None;
    }
    let length = finder.run(at + 1, NAME, |byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    let name = finder.from(at + 1).get(..length)?;
    let name = name.rsplit(|byte| *byte == b':').next()?;
    let rest = at + 1 + length;
    let end = rest + finder.run(rest, TAG, |byte| byte != b'>' && byte != b'<');
    let is_open = finder.text.get(end) == Some(&b'>') && finder.text.get(end - 1) != Some(&b'/');
    (length > 0 && is_open).then_some((name, end + 1))
}

/// Whether an attribute of the tag from `at` to `end` says that a secret is in the element.
fn names_one(finder: &mut Finder<'_>, at: usize, end: usize) -> bool {
    let tag = finder.from(at).get(..end - at).unwrap_or_default();
    let named = |start: &[u8]| {
        let place = tag.windows(start.len()).position(|part| part.eq_ignore_ascii_case(start))?;
        let value = tag.get(place + start.len()..)?;
        let quote = value.iter().position(|byte| b"\"'".contains(byte))?;
        Some(is_secret(value.get(..quote)?))
    };
    finder.run(at, end - at, |_| true);
    [b" name=\"".as_slice(), b" key=\"", b" id=\"", b" name='", b" key='"].into_iter().any(|start| named(start) == Some(true))
}

/// What stands from `inside` on to the end of the element.
fn content(finder: &mut Finder<'_>, inside: usize) -> Option<Range<usize>> {
    let start = inside + finder.gap(inside, NAME);
    let is_data = finder.is_at(start, b"<![CDATA[");
    let (start, style) = if is_data { (start + 9, Style::Data) } else { (start, Style::Element) };
    if value::is_open(finder, start) {
        return None;
    }
    let value = value::read(finder, start, style);
    let end = value.span.end + finder.gap(value.span.end, value::WEIGHED);
    let ends = value.goes_on || is_data || finder.is_at(end, b"</");
    (ends && value.is_secret(Named::Password, Weight::Any)).then_some(value.span)
}
