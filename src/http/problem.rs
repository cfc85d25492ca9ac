//! Answers that are errors: always the one body of `core::refusal`, with the status that fits.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::refusal::Refusal;

/// An error on its way to the client.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    refusal: Refusal,
    call: Option<CallId>,
    challenge: Option<String>,
}

impl Problem {
    /// A problem with a status of its own.
    pub fn at(status: StatusCode, refusal: Refusal) -> Self {
        Self { status, refusal, call: None, challenge: None }
    }

    /// A request that cannot be read.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::at(StatusCode::BAD_REQUEST, Refusal::new(Code::ValidationFailed, message))
    }

    /// A caller that is not authenticated.
    pub fn unauthenticated(message: &'static str) -> Self {
        Refusal::new(Code::Unauthenticated, message).hint("Send the header `Authorization: Bearer <key>`.").into()
    }

    /// Why.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// Its body.
    pub fn body(&self) -> serde_json::Value {
        self.refusal.body(self.call.as_ref())
    }

    /// With another refusal, of the same status.
    #[must_use]
    pub fn saying(mut self, refusal: Refusal) -> Self {
        self.refusal = refusal;
        self
    }

    /// Names the call it is about.
    #[must_use]
    pub fn of_call(mut self, call: Option<CallId>) -> Self {
        self.call = call;
        self
    }

    /// Says in `WWW-Authenticate` what is missing.
    #[must_use]
    pub fn challenged(mut self, challenge: String) -> Self {
        self.challenge = Some(challenge);
        self
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::at(status, refusal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let after = self.refusal.retry_after.map(|after| after.as_millis().div_ceil(1000).max(1));
        let mut response = (self.status, Json(self.refusal.body(self.call.as_ref()))).into_response();
        if let Some(seconds) = after.and_then(|seconds| HeaderValue::from_str(&seconds.to_string()).ok()) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        let plain = (self.status == StatusCode::UNAUTHORIZED).then(|| plain_challenge(self.refusal.code).to_owned());
        let challenge = self.challenge.or(plain).and_then(|text| HeaderValue::from_str(&text).ok());
        if let Some(challenge) = challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A caller whose key is no longer good is told so; one without a key is only asked for it.
fn plain_challenge(code: Code) -> &'static str {
    if code == Code::Unauthenticated { "Bearer" } else { "Bearer error=\"invalid_token\"" }
}

/// Answers a path that is none of ours.
pub async fn no_such_path() -> Problem {
    let refusal = Refusal::new(Code::NotFound, "There is nothing at this path.");
    refusal.hint("GET /api/v1 names what there is. A tool is at POST /api/v1/tools/NAME, MCP at /mcp and /mcp/readonly.").into()
}

/// Answers a method that a path does not have.
pub async fn no_such_method() -> Problem {
    let refusal = Refusal::new(Code::ValidationFailed, "This path does not have that method.");
    Problem::at(StatusCode::METHOD_NOT_ALLOWED, refusal.hint("The header `Allow` names those that it has."))
}
