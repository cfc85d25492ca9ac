//! Reading a request: its body, its query and the names in its path, each within bounds and with our own errors.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::body_budget::{BodyOwner, BufferedBody, Reservation, Unread, no_room};
use super::caller::Revoked;
use super::problem::Problem;
use super::{Http, query};
use crate::core::code::Code;
use crate::core::document;
use crate::core::engagement::check_reason;
use crate::core::refusal::Refusal;

/// Reads a whole body, if it is not too large, there is room for it, and it comes in time.
pub async fn read(body: Body, http: &Http, whose: &BodyOwner) -> Result<BufferedBody, Problem> {
    read_within(body, http, whose, http.settings.body_limit).await
}

/// The same of a body that may not be as large as others.
pub async fn read_within(body: Body, http: &Http, whose: &BodyOwner, limit: usize) -> Result<BufferedBody, Problem> {
    let read = tokio::time::timeout(http.settings.body_time, http.bodies.read(body, whose, limit)).await;
    let read = read.map_err(|_| {
        Problem::at(StatusCode::REQUEST_TIMEOUT, Refusal::new(Code::Timeout, "The request's body did not arrive in time."))
    })?;
    read.map_err(|unread| match unread {
        Unread::TooLarge => Refusal::new(Code::TooLarge, format!("The request's body is larger than {limit} bytes.")).into(),
        Unread::NoRoom => no_room().into(),
        Unread::BrokenOff => Problem::malformed("The body broke off."),
    })
}

/// Works on a body of somebody who is known: what is large is, in turn, off the threads that serve everybody.
pub async fn in_turn<T>(http: &Http, whose: &BodyOwner, bytes: &Bytes, work: impl FnOnce(&[u8]) -> T) -> T {
    match whose {
        BodyOwner::Known { account, stops, .. } if bytes.len() > document::LIGHT => {
            http.gateway.control().turns.take(account, *stops, || work(bytes)).await
        }
        _ => work(bytes),
    }
}

/// The longest body that is looked at although its request is refused whatever it holds, and how long for.
const GLIMPSE: usize = 16 * 1024;
const MOMENT: Duration = Duration::from_millis(250);

/// A short body that comes with its request; nothing of one that is longer, late, or that its client waits for leave to send.
pub async fn glimpse(body: Body, headers: &HeaderMap) -> Option<Bytes> {
    if headers.contains_key(header::EXPECT) || body.size_hint().lower() > GLIMPSE as u64 {
        return None;
    }
    tokio::time::timeout(MOMENT, to_bytes(body, GLIMPSE)).await.ok()?.ok()
}

/// Whether the body says that it is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// What a request gives a tool.
pub struct Given {
    /// The arguments; of a body that is no JSON, its text.
    pub args: Value,
    /// Why they could not be read. The request is a call all the same, and is recorded as one.
    pub fault: Option<Problem>,
    /// What it holds of what may be in memory.
    pub held: Reservation,
}

impl From<Value> for Given {
    fn from(args: Value) -> Self {
        Self { args, fault: None, held: Reservation::default() }
    }
}

/// A JSON object as a body; nothing at all is the empty object.
pub struct Arguments(pub Given);

impl FromRequest<Arc<Http>> for Arguments {
    type Rejection = Infallible;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        if parts.extensions.get::<Revoked>().is_some() {
            return Ok(Self(Value::Null.into()));
        }
        let whose = BodyOwner::of(&parts);
        let BufferedBody { bytes, held } = match read(body, http, &whose).await {
            Ok(read) => read,
            Err(fault) => return Ok(Self(Given { fault: Some(fault), ..Value::Null.into() })),
        };
        let (args, fault) = in_turn(http, &whose, &bytes, |bytes| arguments(bytes, &parts.headers)).await;
        Ok(Self(Given { args, fault, held }))
    }
}

fn arguments(bytes: &[u8], headers: &HeaderMap) -> (Value, Option<Problem>) {
    if bytes.is_empty() {
        return (json!({}), None);
    }
    let fault = if is_json(headers) {
        match document::read(bytes) {
            Ok(args) => return (args, None),
            Err(unreadable) => Problem::malformed(unreadable.to_string()),
        }
    } else {
        Problem::malformed("The body must be JSON, with the header `Content-Type: application/json`.")
    };
    (text_of(bytes), Some(fault))
}

/// A body that is no JSON, for its digest alone.
pub fn text_of(bytes: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// One name in the path; empty if it is not UTF-8, which is the fault of the caller's address (`Caller::fault`).
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(Path::from_request_parts(parts, state).await.map(|Path(name)| name).unwrap_or_default()))
    }
}

/// The query, as `T`; what `T` does not know is refused, and so is a reason that says nothing, or too much.
pub struct Filters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Filters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let read = query::read(query).map(Self).map_err(|fault| Problem::malformed(fault.to_string()))?;
        for (_, reason) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "reason") {
            check_reason(&reason).map_err(|refusal| Problem::malformed(refusal.message))?;
        }
        Ok(read)
    }
}
