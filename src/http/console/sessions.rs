//! Where a person is signed in, as a list with the way out of each.

use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::cookie;
use super::form::Posted;
use super::format::{DisplayTime, escape_hidden};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::told;
use crate::auth::session::{digest, idle_since};
use crate::core::refusal::Refusal;
use crate::core::time::Micros;

/// A session in a list.
pub struct Row {
    /// As the log names it.
    pub id: String,
    /// It is the one that looks.
    pub is_this: bool,
    /// When it began.
    pub since: DisplayTime,
    /// When it was last used.
    pub used: DisplayTime,
    /// Where it was begun from.
    pub address: String,
    /// What the browser said it is.
    pub user_agent: String,
}

/// The sessions that `session_list` has answered.
pub fn rows(request: &SignedInRequest, listed: &Value) -> Vec<Row> {
    let now = request.http.gateway.control().ports.clock.now();
    let own = digest(&request.signed_in.session.hash);
    let row = |item: &Value| {
        let text = |name: &str| escape_hidden(item[name].as_str().unwrap_or_default());
        let time = |name: &str| {
            item[name].as_str().and_then(|text| Micros::read(text).ok()).map(|at| DisplayTime::of(at, now)).unwrap_or_default()
        };
        Row {
            is_this: item["id"] == own.as_str(),
            id: text("id"),
            since: time("began_at"),
            used: time("used_at"),
            address: text("address"),
            user_agent: text("user_agent"),
        }
    };
    listed["items"].as_array().into_iter().flatten().map(row).collect()
}

/// The visitor's own. Looking at one's own account is no call.
pub async fn own(request: &SignedInRequest) -> Result<Vec<Row>, PageError> {
    let ports = &request.http.gateway.control().ports;
    let now = ports.clock.now();
    let found = ports.reader.vault.sessions_of(&request.principal.user, now, idle_since(now)).await;
    let this = &request.signed_in.session.hash;
    let row = |session: crate::log::signed_in::Session| Row {
        id: digest(&session.hash),
        is_this: session.hash == *this,
        since: DisplayTime::of(session.began, now),
        used: DisplayTime::of(session.seen, now),
        address: escape_hidden(&session.address.unwrap_or_default()),
        user_agent: escape_hidden(session.user_agent.unwrap_or_default().as_str()),
    };
    Ok(found.map_err(Refusal::from)?.into_iter().map(row).collect())
}

/// Ends one of the visitor's own.
pub async fn end_own(Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let session = fields.text("session");
    request.done("session_end", json!({ "session": session })).await?;
    if session != digest(&request.signed_in.session.hash) {
        return Ok(told::after(&request, "/console/account", "The session has ended."));
    }
    let cookie = cookie::end_session(&request.http.settings);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/console/sign-in")).into_response())
}
