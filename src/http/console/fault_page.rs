//! Pages in the place of what was asked for: each [`PageError`] in words.
//!
//! INVARIANT: handlers and everything before them answer a fault as data; it becomes a page here, and nowhere else.

use std::sync::Arc;

use askama::Template;
use axum::extract::{FromRequestParts, OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::address::encoded;
use super::appearance::Appearance;
use super::format::escape_hidden;
use super::frame::{Frame, page};
use super::page_error::{PageError, UnderWay};
use super::request::SignedInRequest;
use crate::core::code::Code;
use crate::http::{Http, recheck};

/// Content of an error page.
struct ErrorContent {
    status: u16,
    heading: &'static str,
    text: String,
    hint: Option<String>,
    code: Option<&'static str>,
    /// Where to go on, if that is not the overview.
    place: Option<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "fault_page.html")]
struct ErrorPage {
    frame: Frame,
    told: ErrorContent,
}

/// Renders what went wrong, as the reader wants pages to look, with what is around every page if they are signed in.
pub async fn render(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = next.run(Request::from_parts(parts.clone(), body)).await;
    match response.extensions_mut().remove::<PageError>() {
        None => response,
        Some(PageError::SignIn { next, fragment }) => to_sign_in(&next, fragment),
        Some(PageError::NoReason { next }) => Redirect::to(&format!("/console/reason?next={}", encoded(&next))).into_response(),
        Some(fault) => show(told(fault), &mut parts, &http).await,
    }
}

async fn show(told: ErrorContent, parts: &mut Parts, http: &Arc<Http>) -> Response {
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let frame = match SignedInRequest::from_request_parts(parts, http).await {
        // INVARIANT: the same for what is absent and for what is not one's own (P9): no address, and no position of the log.
        Ok(reader) => Frame { path: "/console/".to_owned(), as_of: None, ..Frame::of(told.heading, "", &reader).await },
        Err(_) => Frame { appearance: Appearance::of(&parts.headers), ..Frame::bare(told.heading) },
    };
    let mut shown = page(&ErrorPage { frame, told });
    *shown.status_mut() = status;
    shown
}

fn told(fault: PageError) -> ErrorContent {
    let told = |status, heading, text: &str, hint: Option<&str>, code| ErrorContent {
        status,
        heading,
        text: text.to_owned(),
        hint: hint.map(str::to_owned),
        code: Some(code),
        place: None,
    };
    match fault {
        PageError::Link => {
            let text = "An invitation works once and for a limited time. This one was used, has expired, or does not exist.";
            let hint = "If you used it already, sign in. Otherwise ask the sender for a new one.";
            told(404, "This link does not work", text, Some(hint), "not_found")
        }
        PageError::OtherOrigin => {
            let text = "The form was not sent by a page of your session. It may have been open for too long.";
            let hint = "Go back, reload the page and send it again.";
            told(403, "Form not accepted", text, Some(hint), Code::OriginNotAllowed.as_str())
        }
        PageError::WrongMethod => told(
            405,
            "Method not allowed",
            "This page does not take this kind of request.",
            None,
            Code::ValidationFailed.as_str(),
        ),
        PageError::Unreadable(text) => told(400, "Invalid request", text, None, Code::ValidationFailed.as_str()),
        PageError::UnderWay(deed) => under_way(&deed),
        PageError::Refused(refusal) => {
            let hint = refusal.hint.as_deref().map(escape_hidden);
            let (status, code) = (refusal.code.status(), refusal.code.as_str());
            told(status, "Request refused", &escape_hidden(&refusal.message), hint.as_deref(), code)
        }
        PageError::NotFound | PageError::SignIn { .. } | PageError::NoReason { .. } => {
            told(404, "Page not found", "There is no such page, or you may not see it.", None, "not_found")
        }
    }
}

/// A deed that has not ended is neither done nor refused.
fn under_way(UnderWay { call, has_secret }: &UnderWay) -> ErrorContent {
    let look = "Its page shows how it ends. Look there before you send the form again.";
    let lost =
        if *has_secret { " A key or a link that it makes is shown nowhere any more: revoke it, and make another." } else { "" };
    ErrorContent {
        status: StatusCode::ACCEPTED.as_u16(),
        heading: "Not known yet",
        text: "The call is recorded and has not ended yet, so it is not known whether it will succeed.".to_owned(),
        hint: Some(format!("{look}{lost}")),
        code: None,
        place: Some((format!("/console/calls/{call}"), "Open the call")),
    }
}

fn to_sign_in(next: &str, fragment: bool) -> Response {
    let to = format!("/console/sign-in?next={}", encoded(next));
    if !fragment {
        return Redirect::to(&to).into_response();
    }
    // A part of a page cannot redirect; the page it is in does.
    let to = HeaderValue::from_str(&to).unwrap_or_else(|_| HeaderValue::from_static("/console/sign-in"));
    (StatusCode::UNAUTHORIZED, [("hx-redirect", to)]).into_response()
}

/// Shows a page, if whoever asked for it is still who they were: else they sign in again.
pub async fn still(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<OriginalUri>().map_or(request.uri(), |original| &original.0).path_and_query();
    let (path, fragment) = (path.map(ToString::to_string), request.headers().contains_key("hx-request"));
    recheck::answered(&http, request, next).await.unwrap_or_else(|refusal| {
        let away = PageError::SignIn { next: path.unwrap_or_default(), fragment };
        if refusal.code.status() == 401 { away } else { refusal.into() }.into_response()
    })
}

/// An address under `/console` that is none.
pub async fn no_such_page() -> PageError {
    PageError::NotFound
}

/// An address that is not for this method.
pub async fn no_such_method() -> PageError {
    PageError::WrongMethod
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::CallId;

    #[test]
    fn a_deed_under_way_is_not_known_yet_and_leads_to_its_call() {
        for has_secret in [false, true] {
            let call: CallId = "call_01JZ0000000000000000000000".parse().expect("an id");
            let told = told(PageError::UnderWay(UnderWay { call, has_secret }));
            assert_eq!((told.status, told.heading, told.code), (202, "Not known yet", None));
            assert_eq!(told.place, Some(("/console/calls/call_01JZ0000000000000000000000".into(), "Open the call")));
            assert_eq!(told.hint.expect("a hint").contains("make another"), has_secret);
        }
    }
}
