//! Why somebody of the staff looks into more than one account. Said once a session, kept in a cookie that is worth nothing
//! in another session, and written down with every reading.

use askama::Template;
use axum::extract::Query;
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::activity::Pairs;
use super::address::local;
use super::cookie::{self, REASON_LONGEST};
use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, page};
use super::visit::Visit;
use crate::core::scrub::ScrubbedText;

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
        longest: REASON_LONGEST,
    }))
}

/// Keeps the reason for the session.
pub async fn submit(Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let reason = String::from(ScrubbedText::of(fields.text("reason")).cut(REASON_LONGEST));
    if reason.is_empty() {
        return Err(Fault::Unreadable("A reason is needed, such as the number of a ticket."));
    }
    let cookie = cookie::set_reason(&visit.visitor.token, &reason, &visit.http.settings);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(local(fields.text("next")))).into_response())
}
