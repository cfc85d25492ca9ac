//! The console's cookies: the session, an attempt to begin one elsewhere, how pages are to look, and why the staff looks.
//!
//! INVARIANT: the cookies of the session and of an attempt have the `__Host-` prefix, so that no other host and no clear
//! connection can set them. The one exception is a server that is only on the loopback address and without TLS, for
//! development: not every browser keeps a Secure cookie there.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::auth::oidc::attempt::HOLDS;
use crate::auth::session::{LONGEST, Token};
use crate::http::Settings;

const SESSION: &str = "__Host-forelog-session";
const SESSION_ON_LOOPBACK: &str = "forelog-session";
const ATTEMPT: &str = "__Host-forelog-attempt";
const ATTEMPT_ON_LOOPBACK: &str = "forelog-attempt";
const THEME: &str = "forelog-theme";
const ZONE: &str = "forelog-zone";
const REASON: &str = "forelog-reason";

fn name(settings: &Settings) -> &'static str {
    if settings.clear_loopback { SESSION_ON_LOOPBACK } else { SESSION }
}

/// A cookie's value; none if it is there twice, for then somebody else set one of them.
fn value<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The session that a request names.
pub fn session(headers: &HeaderMap, settings: &Settings) -> Option<Token> {
    value(headers, name(settings)).filter(|text| !text.is_empty()).map(Token::read)
}

/// Sets the session, for as long as the browser is open and the session lasts.
pub fn set_session(token: &Token, settings: &Settings) -> HeaderValue {
    written(&format!("{}={}; Path=/; Max-Age={}{}", name(settings), token.reveal(), LONGEST.as_secs(), flags(settings)))
}

/// Takes the session away.
pub fn end_session(settings: &Settings) -> HeaderValue {
    written(&format!("{}=; Path=/; Max-Age=0{}", name(settings), flags(settings)))
}

fn attempt_name(settings: &Settings) -> &'static str {
    if settings.clear_loopback { ATTEMPT_ON_LOOPBACK } else { ATTEMPT }
}

/// The attempt that a browser began, sealed.
pub fn attempt<'a>(headers: &'a HeaderMap, settings: &Settings) -> Option<&'a str> {
    value(headers, attempt_name(settings))
}

/// Keeps an attempt for as long as it works.
pub fn set_attempt(sealed: &str, settings: &Settings) -> HeaderValue {
    written(&format!("{}={sealed}; Path=/; Max-Age={}{}", attempt_name(settings), HOLDS.as_secs(), flags(settings)))
}

/// Takes an attempt away.
pub fn end_attempt(settings: &Settings) -> HeaderValue {
    written(&format!("{}=; Path=/; Max-Age=0{}", attempt_name(settings), flags(settings)))
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

/// Why the staff looks, as `reason.rs` writes it.
pub fn reason(headers: &HeaderMap) -> Option<&str> {
    value(headers, REASON)
}

/// Remembers it while the browser is open.
pub fn set_reason(reason: &str, settings: &Settings) -> HeaderValue {
    written(&format!("{REASON}={reason}; Path=/console{}", flags(settings)))
}

fn flags(settings: &Settings) -> &'static str {
    if settings.clear_loopback { "; HttpOnly; SameSite=Lax" } else { "; Secure; HttpOnly; SameSite=Lax" }
}

fn written(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
