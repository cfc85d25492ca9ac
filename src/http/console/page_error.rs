//! Why there is no page: the same error that the API would give, as data. [`super::fault_page`] shows it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::auth::session::SessionError;
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::refusal::Refusal;

/// A call that goes on when the page has to be answered.
#[derive(Clone, Debug)]
pub struct UnderWay {
    /// The call.
    pub call: CallId,
    /// If it succeeds its answer has a secret, which is shown once, and so to nobody.
    pub has_secret: bool,
}

/// Why there is no page.
#[derive(Clone, Debug)]
pub enum PageError {
    /// Nobody is signed in.
    SignIn {
        /// Where to go on afterwards.
        next: String,
        /// Only a part of a page was asked for.
        fragment: bool,
    },
    /// There is no such page, or not for this person (P9).
    NotFound,
    /// The address is not for this method.
    WrongMethod,
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
    /// The call behind a form, or behind the page, has not ended yet: nobody knows what comes of it.
    UnderWay(UnderWay),
    /// The decision, or a tool, said no.
    Refused(Refusal),
}

impl From<Refusal> for PageError {
    fn from(refusal: Refusal) -> Self {
        if matches!(refusal.code, Code::NotFound | Code::VmNotFound) { Self::NotFound } else { Self::Refused(refusal) }
    }
}

impl From<SessionError> for PageError {
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

impl IntoResponse for PageError {
    /// Carries the fault to the one middleware that renders it.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
