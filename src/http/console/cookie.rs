//! The console's cookies: the session, who signed in before, attempts to begin a session elsewhere, how pages are to look, and
//! why the staff looks, and what a form has done.
//!
//! INVARIANT: the cookies about who somebody is have the `__Host-` prefix, so that no other host and no clear connection can
//! set them. The one exception is a server that is only on the loopback address and without TLS, for development: not every
//! browser keeps a Secure cookie there. Each cookie is read by itself: what other cookies hold, in whatever encoding, changes
//! nothing.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::known_browser;
use crate::auth::oidc::attempt::{HOLDS, Redirect, ends};
use crate::auth::session::{MAX_SESSION, SignInCookies, Token};
use crate::core::engagement::check_reason;
use crate::http::Settings;

const SESSION: &str = "__Host-forelog-session";
const SESSION_ON_LOOPBACK: &str = "forelog-session";
const KNOWN: &str = "__Host-forelog-known";
const KNOWN_ON_LOOPBACK: &str = "forelog-known";
const ATTEMPT: &str = "__Host-forelog-attempt-";
const ATTEMPT_ON_LOOPBACK: &str = "forelog-attempt-";
const THEME: &str = "forelog-theme";
const ZONE: &str = "forelog-zone";
const REASON: &str = "forelog-reason";
const TOLD: &str = "forelog-told";

/// Longest text that the next page says, in bytes.
const TOLD_LONGEST: usize = 1200;

/// Most attempts that one browser keeps: one for each tab, the oldest go.
const MOST_ATTEMPTS: usize = 5;

fn name(settings: &Settings) -> &'static str {
    if settings.clear_loopback { SESSION_ON_LOOPBACK } else { SESSION }
}

/// Every cookie, of every header, whatever is in it.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        Some((name.trim_ascii(), bare(value.get(1..)?.trim_ascii())))
    })
}

/// A value without the quotes that may be around it.
fn bare(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// A cookie's value; none if there are two that differ, for then somebody else set one of them.
fn value<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let mut found = cookies(headers).filter(|(name, _)| *name == wanted.as_bytes()).map(|(_, value)| value);
    let first = found.next()?;
    found.all(|other| other == first).then_some(first).and_then(|value| std::str::from_utf8(value).ok())
}

/// Whether a browser sends two sessions, of which neither counts. It has to forget them before anybody can sign in.
pub fn has_two_sessions(headers: &HeaderMap, settings: &Settings) -> bool {
    let wanted = name(settings).as_bytes();
    cookies(headers).any(|(name, _)| name == wanted) && value(headers, name(settings)).is_none()
}

/// The session that a request names.
pub fn session(headers: &HeaderMap, settings: &Settings) -> Option<Token> {
    value(headers, name(settings)).filter(|text| !text.is_empty()).map(Token::read)
}

/// Sets the session, for as long as the browser is open and the session lasts.
fn set_session(token: &Token, settings: &Settings) -> HeaderValue {
    written(&format!("{}={}; Path=/; Max-Age={}{}", name(settings), token.reveal(), MAX_SESSION.as_secs(), flags(settings)))
}

/// What a browser keeps once somebody signed in with it.
pub fn entered(entered: &SignInCookies, settings: &Settings) -> [(header::HeaderName, HeaderValue); 2] {
    [set_session(&entered.token, settings), set_known(&entered.known, settings)].map(|cookie| (header::SET_COOKIE, cookie))
}

/// Takes the session away.
pub fn end_session(settings: &Settings) -> HeaderValue {
    written(&format!("{}=; Path=/; Max-Age=0{}", name(settings), flags(settings)))
}

fn known_name(settings: &Settings) -> &'static str {
    if settings.clear_loopback { KNOWN_ON_LOOPBACK } else { KNOWN }
}

/// Who signed in before in a browser, sealed.
pub fn known<'a>(headers: &'a HeaderMap, settings: &Settings) -> Option<&'a str> {
    value(headers, known_name(settings))
}

/// Remembers who signed in, after the session too.
fn set_known(sealed: &str, settings: &Settings) -> HeaderValue {
    let (name, lasts) = (known_name(settings), known_browser::HOLDS.as_secs());
    written(&format!("{name}={sealed}; Path=/; Max-Age={lasts}{}", flags(settings)))
}

fn attempts_name(settings: &Settings) -> &'static str {
    if settings.clear_loopback { ATTEMPT_ON_LOOPBACK } else { ATTEMPT }
}

/// The attempt that a browser began under a mark, sealed.
pub fn attempt<'a>(headers: &'a HeaderMap, mark: &str, settings: &Settings) -> Option<&'a str> {
    value(headers, &format!("{}{mark}", attempts_name(settings)))
}

/// The marks of all attempts of a browser, the oldest first. Browsers need not send them in that order.
pub fn attempts(headers: &HeaderMap, settings: &Settings) -> Vec<String> {
    let mark = |name: &[u8]| std::str::from_utf8(name).ok()?.strip_prefix(attempts_name(settings)).map(str::to_owned);
    let is_mark = |mark: &String| !mark.is_empty() && mark.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let ends = |value: &[u8]| std::str::from_utf8(value).map_or_else(|_| ends(""), ends);
    let mut kept: Vec<_> = cookies(headers).filter_map(|(name, value)| Some((ends(value), mark(name)?))).collect();
    kept.sort_by_key(|(ends, _)| *ends);
    kept.into_iter().map(|(_, mark)| mark).filter(is_mark).collect()
}

/// Keeps an attempt for as long as it works, beside those of other tabs. The oldest go, if there are too many.
pub fn set_attempt(left: &Redirect, headers: &HeaderMap, settings: &Settings) -> Vec<(header::HeaderName, HeaderValue)> {
    let (name, lasts) = (attempts_name(settings), HOLDS.as_secs());
    let kept = written(&format!("{name}{}={}; Path=/; Max-Age={lasts}{}", left.mark, left.sealed, flags(settings)));
    let others = attempts(headers, settings);
    let too_many = (others.len() + 1).saturating_sub(MOST_ATTEMPTS);
    let gone = others.iter().take(too_many).map(|mark| end_attempt(mark, settings));
    gone.chain([kept]).map(|cookie| (header::SET_COOKIE, cookie)).collect()
}

/// Takes an attempt away.
pub fn end_attempt(mark: &str, settings: &Settings) -> HeaderValue {
    written(&format!("{}{mark}=; Path=/; Max-Age=0{}", attempts_name(settings), flags(settings)))
}

/// The theme that was chosen.
pub fn theme(headers: &HeaderMap) -> Option<&str> {
    value(headers, THEME)
}

/// Remembers a theme for a year.
pub fn set_theme(theme: &str, settings: &Settings) -> HeaderValue {
    for_a_year(THEME, theme, settings)
}

/// The zone that was chosen.
pub fn zone(headers: &HeaderMap) -> Option<&str> {
    value(headers, ZONE)
}

/// Remembers a zone for a year.
pub fn set_zone(zone: &str, settings: &Settings) -> HeaderValue {
    for_a_year(ZONE, zone, settings)
}

fn for_a_year(name: &str, value: &str, settings: &Settings) -> HeaderValue {
    written(&format!("{name}={value}; Path=/console; Max-Age=31536000{}", flags(settings)))
}

/// Why the staff looks, if the session with this token said so.
pub fn reason(headers: &HeaderMap, token: &Token) -> Option<String> {
    of_session(headers, REASON, token).filter(|text| check_reason(text).is_ok())
}

/// Remembers it while the browser is open.
pub fn set_reason(token: &Token, reason: &str, settings: &Settings) -> HeaderValue {
    written(&format!("{REASON}={}; Path=/console{}", for_session(token, reason), flags(settings)))
}

/// What a form of the session with this token has done, for the next page to say.
pub fn told(headers: &HeaderMap, token: &Token) -> Option<String> {
    of_session(headers, TOLD, token).filter(|text| text.len() <= TOLD_LONGEST)
}

/// Whether there is something to say.
pub fn has_told(headers: &HeaderMap) -> bool {
    value(headers, TOLD).is_some_and(|text| !text.is_empty())
}

/// Remembers it for the page that follows.
pub fn set_told(token: &Token, text: &str, settings: &Settings) -> HeaderValue {
    let text: String = text.chars().take(TOLD_LONGEST / 4).collect();
    written(&format!("{TOLD}={}; Path=/console; Max-Age=60{}", for_session(token, &text), flags(settings)))
}

/// Forgets it.
pub fn end_told(settings: &Settings) -> HeaderValue {
    written(&format!("{TOLD}=; Path=/console; Max-Age=0{}", flags(settings)))
}

/// A text that only the session with this token reads back.
fn for_session(token: &Token, text: &str) -> String {
    format!("{}.{}", mark(token), URL_SAFE_NO_PAD.encode(text))
}

/// The text of a cookie that was written for the session with this token.
fn of_session(headers: &HeaderMap, name: &str, token: &Token) -> Option<String> {
    let (given, text) = value(headers, name)?.split_once('.')?;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    (given == mark(token)).then_some(text)
}

/// Tells sessions apart, and helps with nothing else.
fn mark(token: &Token) -> String {
    token.hash().chars().rev().take(16).collect()
}

fn flags(settings: &Settings) -> &'static str {
    if settings.clear_loopback { "; HttpOnly; SameSite=Lax" } else { "; Secure; HttpOnly; SameSite=Lax" }
}

fn written(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
