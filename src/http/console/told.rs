//! What a form has done, said once on the page that follows it.
//!
//! INVARIANT: the text is ours, with names in it that are shown escaped, and is worth nothing in another session.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::middleware::Next;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};

use super::cookie;
use super::request::SignedInRequest;
use crate::http::Http;

/// Leads to `place`, which says `text`.
pub fn after(request: &SignedInRequest, place: &str, text: &str) -> Response {
    let cookie = cookie::set_told(&request.signed_in.token, text, &request.http.settings);
    (AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(place)).into_response()
}

/// Forgets the text once a page has said it. A part of a page that is asked for again and again says nothing.
pub async fn once(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let is_said = cookie::has_told(request.headers()) && !request.headers().contains_key("hx-request");
    let response = next.run(request).await;
    let is_page = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_said && is_page {
        return (AppendHeaders([(SET_COOKIE, cookie::end_told(&http.settings))]), response).into_response();
    }
    response
}
