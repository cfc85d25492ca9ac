//! What a name is the name of: which words say that a password, a key or a header is given.
//!
//! INVARIANT: a number or a word that tells one of several apart at the end of a name (`SECRET_KEY_1`, `password_old`) changes
//! nothing.

use super::finder::Finder;

/// The longest name.
pub(super) const NAME: usize = 48;

/// How far a name may stand from its `:` or `=`: columns are aligned.
const APART: usize = 32;

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
    "xauth",
];

/// Endings of names whose value people choose.
const PASSWORDS: &[&str] =
    &["password", "passwords", "passwd", "passphrase", "passcode", "passwort", "pswd", "mysqlpwd", "sshpass", "wpapsk"];

/// Short endings, which mean a password only as words of their own (`DB_PWD`, `dbPwd`), not in `bypass` or `PWD`.
const SHORT: &[&str] = &["pass", "pwd", "pw", "psk"];

/// What stands before `pass` or `pwd` in one word.
const WHOSE: &[&str] = &[
    "pg",
    "db",
    "user",
    "root",
    "admin",
    "smtp",
    "imap",
    "mail",
    "key",
    "store",
    "keystore",
    "truststore",
    "mysql",
    "mariadb",
    "postgres",
    "mongo",
    "redis",
    "rabbit",
    "mq",
    "ftp",
    "sftp",
    "ldap",
    "bind",
    "ssh",
    "sudo",
    "auth",
    "http",
    "https",
    "proxy",
    "vnc",
    "rdp",
    "rds",
    "sql",
    "login",
    "ca",
    "tls",
    "ssl",
    "zip",
    "enc",
    "my",
    "app",
    "svc",
    "service",
    "backup",
    "api",
    "git",
    "wifi",
    "wpa",
    "http",
    "basic",
    "host",
    "guest",
    "vm",
    "old",
    "new",
    "tlsproxy",
    "require",
];

/// Endings of names whose value a machine makes.
const KEYS: &[&str] = &[
    "secret",
    "secretkey",
    "secretkeybase",
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
    // Of a client's certificate, in a kubeconfig; of a server's, in a secret of Kubernetes.
    "keydata",
    "tlskey",
    "secretid",
    "bearer",
    "jwt",
];

/// Words at the end of a name that tell one of several apart.
const WHICH: &[&[u8]] = &[
    b"old",
    b"new",
    b"prod",
    b"production",
    b"dev",
    b"test",
    b"staging",
    b"stage",
    b"live",
    b"main",
    b"primary",
    b"secondary",
    b"backup",
    b"current",
    b"previous",
    b"base64",
    b"b64",
    b"value",
    b"hash",
    b"hashed",
    b"plain",
    b"text",
    b"raw",
    b"default",
];

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A secret to the end of its line.
    Header,
    /// People choose it.
    Password,
    /// A machine makes it.
    Key,
    /// A user and his password in base 64, as registries' clients keep them.
    Auth,
    /// Digits before a colon: who a bot is.
    Bot,
}

/// A name before a `:` or `=`.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    /// As it is written.
    pub(super) text: &'a [u8],
    /// Where it begins.
    pub(super) start: usize,
    /// In quotes.
    pub(super) quoted: bool,
    /// How far from its sign.
    pub(super) apart: usize,
}

impl Name<'_> {
    pub(super) fn is(&self) -> Option<Named> {
        named(self.text)
    }

    /// As the environment's are: no small letters.
    pub(super) fn is_variable(&self) -> bool {
        !self.text.iter().any(u8::is_ascii_lowercase) && self.text.iter().any(u8::is_ascii_uppercase)
    }
}

/// The name that ends before `at`.
pub(super) fn before<'a>(finder: &mut Finder<'a>, at: usize) -> Option<Name<'a>> {
    let text = finder.back(at, NAME + APART);
    let ends = |text: &[u8], of: &[u8]| text.iter().rev().take_while(|byte| of.contains(byte)).count();
    let apart = ends(text, b" \t").min(APART);
    let text = text.get(..text.len() - apart)?;
    let quotes = ends(text, b"\"'\\]").min(6);
    let text = text.get(..text.len() - quotes)?;
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let length = text.iter().rev().take(NAME).take_while(is_name).count();
    let start = at - apart - quotes - length;
    finder.look_back(at, apart + quotes + length);
    (length > 0).then_some(Name { text: text.get(text.len() - length..)?, start, quoted: quotes > 0, apart })
}

/// What a value of this name is.
pub(super) fn named(name: &[u8]) -> Option<Named> {
    if (8..=10).contains(&name.len()) && name.iter().all(u8::is_ascii_digit) {
        return Some(Named::Bot);
    }
    let name = without_which(name);
    let plain: String =
        name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    let of = |endings: &[&str]| endings.iter().any(|ending| plain.ends_with(ending));
    if of(HEADERS) && (plain.starts_with('x') || plain.ends_with("authorization") || plain.ends_with("cookie") || is_header(name))
    {
        Some(Named::Header)
    } else if of(PASSWORDS) || is_short(name, &plain) {
        Some(Named::Password)
    } else if of(KEYS) || plain == "sig" {
        Some(Named::Key)
    } else if plain == "auth" {
        Some(Named::Auth)
    } else {
        None
    }
}

/// Whether it ends in a short word for a password.
fn is_short(name: &[u8], plain: &str) -> bool {
    SHORT.iter().any(|short| {
        let Some(whose) = plain.strip_suffix(short) else { return false };
        let (before, word) = name.split_at(name.len() - short.len());
        // What the shell calls the directory that it is in.
        let is_alone = before.iter().all(|byte| b"_-.".contains(byte));
        let parted = before.last().is_some_and(|byte| b"_-.".contains(byte));
        let humped = before.last().is_some_and(u8::is_ascii_lowercase) && word.first().is_some_and(u8::is_ascii_uppercase);
        is_alone || parted || humped || (*short != "pw" && *short != "psk" && WHOSE.contains(&whose))
    })
}

/// `name` without numbers and words at its end that tell one of several apart.
fn without_which(name: &[u8]) -> &[u8] {
    let mut rest = name;
    loop {
        let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let bare = rest.get(..rest.len() - digits).unwrap_or_default();
        let marks = bare.iter().rev().take_while(|byte| b"_-.".contains(byte)).count();
        let bare = bare.get(..bare.len() - marks).unwrap_or_default();
        let which = WHICH.iter().find(|which| ends_in(bare, which));
        let shorter = which.and_then(|which| bare.get(..bare.len() - which.len() - 1)).unwrap_or(bare);
        if shorter.is_empty() || shorter.len() == rest.len() {
            return rest;
        }
        rest = shorter;
    }
}

/// Whether `name` ends in `word`, parted from the rest.
fn ends_in(name: &[u8], word: &[u8]) -> bool {
    let Some(start) = name.len().checked_sub(word.len()) else { return false };
    let (rest, end) = name.split_at(start);
    end.eq_ignore_ascii_case(word) && rest.last().is_some_and(|byte| b"_-.".contains(byte))
}

/// Whether a name is written as a header is: words joined by dashes, or begun with capitals.
fn is_header(name: &[u8]) -> bool {
    name.contains(&b'-') && !name.starts_with(b"-")
}
