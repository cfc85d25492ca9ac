//! Pages that are not what was asked for. What they say is the same error the API would give, in words.

use std::sync::Arc;

use askama::Template;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::frame::{Frame, page};
use super::look::Look;
use super::shown::visible;
use crate::auth::session::SessionError;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::http::{Http, still};

/// Why there is no page.
#[derive(Debug)]
pub enum Fault {
    /// Nobody is signed in.
    SignIn {
        /// Where to go on afterwards.
        next: String,
        /// Only a part of a page was asked for.
        fragment: bool,
    },
    /// There is no such page, or not for this person (P9).
    NotFound,
    /// A link that lets nobody in.
    Link,
    /// The staff has not said why it looks into more than one account.
    NoReason {
        /// Where to go on afterwards.
        next: String,
    },
    /// A form that no page of this session sent.
    OtherOrigin,
    /// A request that cannot be read.
    Unreadable(&'static str),
    /// The decision, or a tool, said no.
    Refused(Refusal),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        if matches!(refusal.code, Code::NotFound | Code::VmNotFound) { Self::NotFound } else { Self::Refused(refusal) }
    }
}

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        if matches!(error, SessionError::Busy) {
            let text = "Too many passwords are being checked at this moment, so this one was not.";
            return Self::Refused(Refusal::new(Code::Overloaded, text).hint("Try again in a few seconds."));
        }
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, source, "a session cannot be used");
        Self::Refused(Refusal::new(Code::AuditUnavailable, "Sessions cannot be read or recorded now, so nothing is shown."))
    }
}

/// What a page that is not what was asked for says; rendered by [`render`], which knows how the reader wants to see it.
#[derive(Clone)]
struct Told {
    heading: String,
    text: String,
    hint: Option<String>,
    code: &'static str,
}

#[derive(Template)]
#[template(path = "fault.html")]
struct FaultPage {
    frame: Frame,
    told: Told,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn { next, fragment } => to_sign_in(&next, fragment),
            Self::NoReason { next } => Redirect::to(&format!("/console/reason?next={}", encoded(&next))).into_response(),
            Self::NotFound => show(404, "Nothing here", "There is no such page, or it is not yours to see.", None, "not_found"),
            Self::Link => {
                let text = "A link to come in works once, and for a while. This one was used, has ended, or was never given out.";
                let hint = "If you came in with it, sign in; if not, ask whoever sent it for another one.";
                show(404, "This link does not work", text, Some(hint.to_owned()), "not_found")
            }
            Self::OtherOrigin => {
                let text = "The form was not sent by a page of your session. It may have been open for too long.";
                let hint = Some("Go back, reload the page and send it again.".to_owned());
                show(403, "The form was not taken", text, hint, Code::OriginNotAllowed.as_str())
            }
            Self::Unreadable(text) => show(400, "That cannot be read", text, None, Code::ValidationFailed.as_str()),
            Self::Refused(refusal) => {
                let hint = refusal.hint.as_deref().map(visible);
                show(refusal.code.status(), "That was refused", &visible(&refusal.message), hint, refusal.code.as_str())
            }
        }
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

/// As a value in a query.
pub fn encoded(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => written.push(char::from(byte)),
            _ => {
                written.push('%');
                written.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    written
}

fn show(status: u16, heading: &str, text: &str, hint: Option<String>, code: &'static str) -> Response {
    let mut response = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    response.extensions_mut().insert(Told { heading: heading.to_owned(), text: text.to_owned(), hint, code });
    response
}

/// Shows a page, if whoever asked for it is still who they were: else they sign in again.
pub async fn still(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<OriginalUri>().map_or(request.uri(), |original| &original.0).path_and_query();
    let (path, fragment) = (path.map(ToString::to_string), request.headers().contains_key("hx-request"));
    still::answered(&http, request, next).await.unwrap_or_else(|refusal| {
        let away = Fault::SignIn { next: path.unwrap_or_default(), fragment };
        if refusal.code.status() == 401 { away } else { refusal.into() }.into_response()
    })
}

/// Renders what went wrong, as pages are to look.
pub async fn render(request: Request, next: Next) -> Response {
    let look = Look::of(request.headers());
    let mut response = next.run(request).await;
    let Some(told) = response.extensions_mut().remove::<Told>() else { return response };
    let frame = Frame { look, ..Frame::bare(&told.heading) };
    let mut shown = page(&FaultPage { frame, told });
    *shown.status_mut() = response.status();
    shown
}

/// An address under `/console` that is none.
pub async fn no_such_page() -> Fault {
    Fault::NotFound
}

/// An address that is not for this method.
pub async fn no_such_method() -> Response {
    show(405, "Not that way", "This page cannot be used like that.", None, Code::ValidationFailed.as_str())
}
