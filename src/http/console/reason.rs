//! Why somebody of the staff looks into more than one account. Said once a session, kept in a cookie that is worth nothing
//! in another session, and written down with every reading.

use askama::Template;
use axum::extract::Query;
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::activity::Pairs;
use super::address::local;
use super::cookie::{self, REASON_LONGEST};
use super::form::Posted;
use super::form_state::FormState;
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::scrub::ScrubbedText;
use crate::core::visible::says_something;

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
        longest: REASON_LONGEST,
        draft,
    });
    (status, shown).into_response()
}

/// Keeps the reason for the session.
pub async fn submit(Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let reason = String::from(ScrubbedText::of(fields.text("reason")).cut(REASON_LONGEST));
    if !says_something(&reason) {
        let next = local(fields.text("next")).to_owned();
        let draft =
            FormState::of(fields, PageError::Unreadable("Give a reason, such as the number of a ticket."), "reason", &[])?;
        return Ok(form(&request, &next, draft).await);
    }
    let cookie = cookie::set_reason(&request.signed_in.token, &reason, &request.http.settings);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(local(fields.text("next")))).into_response())
}
