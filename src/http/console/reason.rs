//! Why somebody of the staff looks into more than one account. Said once a session, kept in a cookie that is worth nothing
//! in another session, and written down with every reading.

use askama::Template;
use axum::extract::Query;
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::activity::Pairs;
use super::address::local;
use super::cookie;
use super::form::Posted;
use super::form_state::FormState;
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::engagement::{REASON, check_reason};
use crate::core::scrub::ScrubbedText;

#[derive(Template)]
#[template(path = "reason.html")]
struct Reason {
    frame: Frame,
    given: String,
    next: String,
    longest: usize,
    draft: FormState,
}

/// The form.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    let next = pairs.iter().find(|(name, _)| name == "next").map_or("/console/search", |(_, next)| local(next));
    Ok(form(&request, next, FormState::default()).await)
}

async fn form(request: &SignedInRequest, next: &str, draft: FormState) -> Response {
    let status = draft.status();
    let shown = page(&Reason {
        frame: Frame::of("Reason for access", "/console/search", request).await,
        given: request.reason.clone().unwrap_or_default(),
        next: next.to_owned(),
        longest: REASON,
        draft,
    });
    (status, shown).into_response()
}

/// Keeps the reason for the session.
pub async fn submit(Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let reason = String::from(ScrubbedText::of(fields.text("reason")));
    if check_reason(&reason).is_err() {
        let next = local(fields.text("next")).to_owned();
        let takes = "Give a reason of 1 to 500 characters, such as the number of a ticket.";
        let draft = FormState::of(fields, PageError::Unreadable(takes), "reason", &[])?;
        return Ok(form(&request, &next, draft).await);
    }
    let cookie = cookie::set_reason(&request.signed_in.token, &reason, &request.http.settings);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(local(fields.text("next")))).into_response())
}
