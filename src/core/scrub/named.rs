//! Secrets that are known by what they are called: headers, passwords and keys that are given to a name.
//!
//! INVARIANT: a name that a program puts a value in the place of (`$TOKEN`, `{{ token }}`) is no secret, nor is what was
//! replaced already.

use std::ops::Range;

use super::MARK;
use super::block;
use super::find::Finder;
use super::form::is_token;

/// How far before `:` or `=` a name may begin.
const NAME: usize = 48;

/// Beyond this length nothing is weighed: it is a secret.
const WEIGHED: usize = 256;

/// How a mark begins: what has one in it was judged before.
const REPLACED: &[u8] = b"[redacted";

/// Headers whose whole line is a secret, without marks between the words.
const HEADERS: &[&str] = &[
    "authorization",
    "apikey",
    "authtoken",
    "accesstoken",
    "privatetoken",
    "jobtoken",
    "vaulttoken",
    "securitytoken",
    "gitlabtoken",
    "circletoken",
    "cookie",
];

/// Endings of names whose value people choose.
const PASSWORDS: &[&str] = &["password", "passwd", "passphrase", "mysqlpwd", "sshpass"];

/// Endings of names whose value a machine makes.
const KEYS: &[&str] = &[
    "secret",
    "secretkey",
    "secretaccesskey",
    "accesskey",
    "apikey",
    "authkey",
    "token",
    "clientsecret",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "accountkey",
    "presharedkey",
    "masterkey",
    "servicekey",
    "subscriptionkey",
    "sessionkey",
    "amzsignature",
    "forelogsession",
    "mcpsessionid",
    "jsessionid",
    "phpsessid",
    "sharedaccesssignature",
    "credentials",
];

/// What is written for a password that is none.
const NO_PASSWORD: &[&[u8]] = &[b"true", b"false", b"null", b"none", b"required", b"prompt", b"stdin", b"undefined"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Header,
    Password,
    Key,
    /// Digits before a colon: who a bot is.
    Bot,
}

/// The value that the name before the `:` or `=` at `at` is given.
pub(super) fn value(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let named = name_before(finder, at)?;
    let is_colon = finder.text.get(at) == Some(&b':');
    let mut start = at + 1;
    start += finder.run(start, 1, |byte| byte == b'=' || (byte == b'>' && !is_colon));
    start += finder.run(start, 8, |byte| byte == b' ' || byte == b'\t');
    start += finder.run(start, 1, |byte| byte == b'\\');
    let quote = finder.text.get(start).copied().filter(|byte| b"\"'".contains(byte));
    start += usize::from(quote.is_some());
    if is_left_open(finder.from(start)) || block::begins(finder, start) {
        return None;
    }
    match named {
        Named::Header => header(finder, start, quote, is_colon),
        Named::Bot => {
            let end = start + finder.run(start, WEIGHED, is_token);
            let is_secret = is_colon && start == at + 1 && (end - start >= 35 || finder.goes_on(end));
            is_secret.then(|| start..finder.end_of(start, is_token))
        }
        Named::Password | Named::Key => assigned(finder, named, start, quote, !is_colon),
    }
}

/// A header's value, to the end of its line; the word that says of which kind it is stays.
fn header(finder: &mut Finder<'_>, start: usize, quote: Option<u8>, is_colon: bool) -> Option<Range<usize>> {
    let mut start = start;
    let scheme = finder.run(start, 32, |byte| byte.is_ascii_alphabetic());
    let blank = finder.run(start + scheme, 8, |byte| byte == b' ');
    if scheme > 0 && blank > 0 {
        start += scheme + blank;
    }
    if is_left_open(finder.from(start)) || block::begins(finder, start) {
        return None;
    }
    let end = finder.end_of(start, |byte| match quote {
        Some(quote) => byte != quote && byte != b'\n',
        None => !b"\n\r\"'`".contains(&byte) && (is_colon || !b" \t&,;".contains(&byte)),
    });
    (end > start).then_some(start..end)
}

fn assigned(finder: &mut Finder<'_>, named: Named, start: usize, quote: Option<u8>, is_equal: bool) -> Option<Range<usize>> {
    let within = |byte: u8| match quote {
        Some(quote) => byte != quote && byte != b'\n' && byte != b'\r',
        None => !byte.is_ascii_whitespace() && !b"\"'`,;&<>|(){}".contains(&byte),
    };
    let weighed = finder.run(start, WEIGHED, |byte| byte != b'\\' && within(byte));
    let value = finder.text.get(start..start + weighed)?;
    if value.windows(REPLACED.len()).any(|part| part == REPLACED) {
        return None;
    }
    let is_secret = match named {
        _ if weighed >= WEIGHED => true,
        _ if finder.goes_on(start + weighed) && weighed > 0 => true,
        Named::Password if is_equal || quote.is_some() => value.len() >= 4 && !NO_PASSWORD.contains(&value),
        Named::Password => value.len() >= 6 && !value.iter().all(u8::is_ascii_alphabetic),
        _ => value.len() >= 8 && is_mixed(value),
    };
    if !is_secret {
        return None;
    }
    let end = finder.end_of(start, within);
    Some(start..end)
}

/// What the name is of that ends before `at`.
fn name_before(finder: &Finder<'_>, at: usize) -> Option<Named> {
    let text = finder.text.get(at.saturating_sub(NAME)..at)?;
    let ends = |text: &[u8], of: &[u8]| text.iter().rev().take_while(|byte| of.contains(byte)).count();
    let text = text.get(..text.len() - ends(text, b" \t").min(2))?;
    let text = text.get(..text.len() - ends(text, b"\"'\\").min(2))?;
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let length = text.iter().rev().take_while(is_name).count();
    named(text.get(text.len() - length..)?)
}

/// What is given to a name.
fn named(name: &[u8]) -> Option<Named> {
    if (8..=10).contains(&name.len()) && name.iter().all(u8::is_ascii_digit) {
        return Some(Named::Bot);
    }
    let plain: String =
        name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    let of = |endings: &[&str]| endings.iter().any(|ending| plain.ends_with(ending));
    let is_pass =
        plain == "pass" || name.to_ascii_lowercase().ends_with(b"_pass") || name.to_ascii_lowercase().ends_with(b"-pass");
    if of(HEADERS) && (plain.starts_with('x') || plain.ends_with("authorization") || plain.ends_with("cookie") || is_header(name))
    {
        Some(Named::Header)
    } else if of(PASSWORDS) || is_pass {
        Some(Named::Password)
    } else if of(KEYS) || plain == "sig" {
        Some(Named::Key)
    } else {
        None
    }
}

/// Whether a name is written as a header is: words joined by dashes, or begun with capitals.
fn is_header(name: &[u8]) -> bool {
    name.contains(&b'-') && !name.starts_with(b"-")
}

/// The value of the option of a command at `at`: `--password VALUE`, or what `curl` signs in with.
pub(super) fn option(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    if finder.before(at) == Some(b'-') {
        return None;
    }
    let dashes = finder.run(at, 3, |byte| byte == b'-');
    let length = finder.run(at + dashes, NAME, |byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let name = finder.text.get(at + dashes..at + dashes + length)?;
    let kind = named(name).filter(|kind| dashes == 2 && matches!(kind, Named::Password | Named::Key));
    let signs_in = (dashes == 1 && name == b"u") || (dashes == 2 && name == b"user");
    let mut start = at + dashes + length;
    let blank = finder.run(start, 4, |byte| byte == b' ');
    start += blank;
    let quote = finder.text.get(start).copied().filter(|byte| b"\"'".contains(byte));
    start += usize::from(quote.is_some());
    let is_value = blank > 0 && finder.text.get(start) != Some(&b'-') && !block::begins(finder, start);
    if !is_value || is_left_open(finder.from(start)) {
        return None;
    }
    match kind {
        Some(kind) => assigned(finder, kind, start, quote, true),
        None if signs_in && is_of_curl(finder, at) => {
            let user = finder.run(start, NAME, |byte| byte.is_ascii_graphic() && !b":\"'".contains(&byte));
            let start = start + user + 1;
            let is_given = finder.text.get(start - 1) == Some(&b':') && !is_left_open(finder.from(start));
            let end = finder.end_of(start, |byte| byte.is_ascii_graphic() && !b"\"'".contains(&byte));
            (is_given && end > start).then_some(start..end)
        }
        None => None,
    }
}

/// Whether the command before `at` is `curl`.
fn is_of_curl(finder: &Finder<'_>, at: usize) -> bool {
    let before = finder.text.get(at.saturating_sub(128)..at).unwrap_or_default();
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    line.windows(5).any(|window| window == b"curl ")
}

/// The token after the word `bearer` at `at`.
pub(super) fn bearer(finder: &mut Finder<'_>, at: usize) -> Option<Range<usize>> {
    let word = finder.text.get(at..at + 6)?;
    if !word.eq_ignore_ascii_case(b"bearer") {
        return None;
    }
    let blank = finder.run(at + 6, 4, |byte| byte == b' ' || byte == b'\t');
    let start = at + 6 + blank;
    let length = finder.run(start, WEIGHED, is_token);
    let value = finder.text.get(start..start + length)?;
    let is_secret = (length >= 16 && value.iter().any(u8::is_ascii_digit)) || length >= 32 || finder.goes_on(start + length);
    (blank > 0 && length > 0 && is_secret).then(|| start..finder.end_of(start, is_token))
}

/// Whether `value` names what is to be put there, or was replaced already.
pub(super) fn is_left_open(value: &[u8]) -> bool {
    let second = value.get(1).copied().unwrap_or_default();
    match value.first() {
        None | Some(b'{' | b'<' | b'`') => true,
        Some(b'*') => is_masked(value),
        Some(b'$') => second.is_ascii_alphabetic() || b"_({".contains(&second) || value.get(1..).is_some_and(is_marked),
        Some(b'%') => !second.is_ascii_hexdigit(),
        _ => is_marked(value),
    }
}

fn is_marked(value: &[u8]) -> bool {
    value.starts_with(MARK.as_bytes())
}

/// Whether there is nothing but stars.
fn is_masked(value: &[u8]) -> bool {
    let after = value.iter().find(|byte| **byte != b'*');
    value.starts_with(b"***") && after.is_none_or(|byte| !byte.is_ascii_graphic() || b"\"'@,;&)}".contains(byte))
}

/// Whether there are letters and digits.
pub(super) fn is_mixed(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
}
