//! What systems keep of passwords: hashes of `/etc/shadow`, `htpasswd`, directories, databases. Whoever has one can try words.

use std::ops::Range;

use super::finder::Finder;

/// How a hash begins that says by which method it was made.
const METHODS: &[&[u8]] = &[
    b"$1$",
    b"$2a$",
    b"$2b$",
    b"$2x$",
    b"$2y$",
    b"$5$",
    b"$6$",
    b"$7$",
    b"$y$",
    b"$gy$",
    b"$apr1$",
    b"$argon2",
    b"$pbkdf2",
    b"$scrypt$",
    b"$sha1$",
    b"$md5",
    b"$8$",
    b"$9$",
    b"$P$",
    b"$H$",
    b"$bcrypt",
    b"$krb5",
];

/// The same, without a sign before it.
const HASH_NAMES: &[&[u8]] = &[b"pbkdf2_sha", b"pbkdf2:sha", b"PBKDF2$"];

/// How directories say it.
const SCHEMES: &[&[u8]] = &[
    b"{SHA}",
    b"{SSHA}",
    b"{SHA256}",
    b"{SSHA256}",
    b"{SHA512}",
    b"{SSHA512}",
    b"{MD5}",
    b"{SMD5}",
    b"{CRYPT}",
    b"{PBKDF2",
    b"{ARGON2",
    b"{BLF-CRYPT}",
    b"{sha}",
    b"{ssha}",
    b"{crypt}",
];

/// The shortest that may be one.
const LEAST: usize = 20;

/// The hash that begins at `at`.
pub(super) fn hash(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let of = |byte: u8| byte.is_ascii_alphanumeric() || b"./+=,$-_:{}".contains(&byte);
    let method = match finder.text.get(at)? {
        b'$' => METHODS,
        b'{' => SCHEMES,
        b'p' | b'P' => HASH_NAMES,
        b'*' => return mysql(finder, at),
        _ => return None,
    };
    let begin = method.iter().find(|begin| finder.is_at(at, begin))?.len() + at;
    // In `/etc/shadow` other fields follow.
    let end = finder.run(begin, usize::MAX, |byte| of(byte) && byte != b':') + begin;
    let end = if method == HASH_NAMES { finder.run(begin, usize::MAX, of) + begin } else { end };
    let is_made =
        method == SCHEMES || finder.text.get(begin..end)?.contains(&b'$') || matches!(finder.from(at), [_, b'P' | b'H', ..]);
    ((end - begin >= LEAST && is_made) || finder.goes_on(end)).then_some(at..end)
}

/// `*` and 40 capitals and digits.
fn mysql(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let length = finder.run(at + 1, 41, |byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
    let ends = finder.text.get(at + 1 + length).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    ((length == 40 && ends) || (length >= 8 && finder.goes_on(at + 1 + length))).then_some(at..at + 1 + length)
}
