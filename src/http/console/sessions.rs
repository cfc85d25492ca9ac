//! Where a person is signed in, as a list with the way out of each.

use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::cookie;
use super::fault::Fault;
use super::form::Posted;
use super::shown::{When, visible};
use super::visit::Visit;
use crate::auth::session::{digest, idle_since};
use crate::core::time::Micros;

/// A session in a list.
pub struct Row {
    /// As the log names it.
    pub id: String,
    /// It is the one that looks.
    pub is_this: bool,
    /// When it began.
    pub since: When,
    /// When it was last used.
    pub used: When,
    /// Where it was begun from.
    pub address: String,
    /// What the browser said it is.
    pub user_agent: String,
}

/// The sessions that `session_list` has answered.
pub fn rows(visit: &Visit, listed: &Value) -> Vec<Row> {
    let now = visit.http.door.control().ports.clock.now();
    let own = digest(&visit.visitor.session.hash);
    let row = |item: &Value| {
        let text = |name: &str| visible(item[name].as_str().unwrap_or_default());
        let time = |name: &str| {
            item[name].as_str().and_then(|text| Micros::read(text).ok()).map(|at| When::of(at, now)).unwrap_or_default()
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
pub async fn own(visit: &Visit) -> Vec<Row> {
    let ports = &visit.http.door.control().ports;
    let now = ports.clock.now();
    let found = ports.reader.vault.sessions_of(&visit.principal.user, now, idle_since(now)).await.unwrap_or_default();
    let this = &visit.visitor.session.hash;
    let row = |session: crate::log::signed_in::Session| Row {
        id: digest(&session.hash),
        is_this: session.hash == *this,
        since: When::of(session.began, now),
        used: When::of(session.seen, now),
        address: visible(&session.address.unwrap_or_default()),
        user_agent: visible(session.user_agent.unwrap_or_default().as_str()),
    };
    found.into_iter().map(row).collect()
}

/// Ends one of the visitor's own.
pub async fn end_own(Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let session = fields.text("session");
    visit.done("session_end", json!({ "session": session })).await?;
    if session != digest(&visit.visitor.session.hash) {
        return Ok(Redirect::to("/console/account").into_response());
    }
    let cookie = cookie::end_session(&visit.http.settings);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to("/console/sign-in")).into_response())
}
