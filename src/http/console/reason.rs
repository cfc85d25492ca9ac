//! Why somebody of the staff looks into more than one account. Said once a session, kept in a cookie that is worth nothing
//! in another session, and written down with every reading.

use askama::Template;
use axum::extract::Query;
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::activity::Pairs;
use super::cookie;
use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, page};
use super::sign_in::local;
use super::visit::Visit;
use crate::auth::session::Token;
use crate::core::scrub::ScrubbedText;

/// Longest reason, in characters.
const LONGEST: usize = 200;

#[derive(Template)]
#[template(path = "reason.html")]
struct Reason {
    frame: Frame,
    given: String,
    next: String,
    longest: usize,
}

/// The form.
pub async fn show(visit: Visit, Query(pairs): Query<Pairs>) -> Result<Response, Fault> {
    if !visit.is_staff() {
        return Err(Fault::NotFound);
    }
    let next = pairs.iter().find(|(name, _)| name == "next").map_or("/console/search", |(_, next)| local(next));
    Ok(page(&Reason {
        frame: Frame::of("Why do you look?", "/console/search", &visit).await,
        given: visit.reason.clone().unwrap_or_default(),
        next: next.to_owned(),
        longest: LONGEST,
    }))
}

/// Keeps the reason for the session.
pub async fn submit(Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let reason = String::from(ScrubbedText::of(fields.text("reason")).cut(LONGEST));
    if reason.is_empty() {
        return Err(Fault::Unreadable("A reason is needed, such as the number of a ticket."));
    }
    let cookie = cookie::set_reason(&written(&visit.visitor.token, &reason), &visit.http.settings);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(local(fields.text("next")))).into_response())
}

fn written(token: &Token, reason: &str) -> String {
    format!("{}.{}", mark(token), URL_SAFE_NO_PAD.encode(reason))
}

/// The reason that a cookie holds, if this session gave it.
pub fn read(cookie: &str, token: &Token) -> Option<String> {
    let (given, text) = cookie.split_once('.')?;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    (given == mark(token) && !text.trim().is_empty() && text.chars().count() <= LONGEST).then_some(text)
}

/// Tells sessions apart, and helps with nothing else.
fn mark(token: &Token) -> String {
    token.hash().chars().rev().take(16).collect()
}
