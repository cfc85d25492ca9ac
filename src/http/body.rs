//! Reading a request: its body, its query and the names in its path, each within bounds and with our own errors.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Http, Settings};
use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// Reads a whole body, if it is not too large and comes in time.
pub async fn read(body: Body, settings: &Settings) -> Result<Bytes, Problem> {
    let limit = settings.body_limit;
    let reading = tokio::time::timeout(settings.body_time, to_bytes(body, limit)).await;
    let read = reading.map_err(|_| {
        Problem::at(StatusCode::REQUEST_TIMEOUT, Refusal::new(Code::Timeout, "The request's body did not arrive in time."))
    })?;
    read.map_err(|error| if is_too_large(&error) { too_large(limit) } else { Problem::malformed("The body broke off.") })
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        source = error.source();
    }
    false
}

fn too_large(limit: usize) -> Problem {
    Refusal::new(Code::TooLarge, format!("The request's body is larger than {limit} bytes.")).into()
}

/// Whether the body says that it is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// A JSON object as a body; nothing at all is the empty object.
pub struct Arguments(pub Value);

impl FromRequest<Arc<Http>> for Arguments {
    type Rejection = Problem;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        refuse_query(&parts)?;
        let bytes = read(body, &http.settings).await?;
        if bytes.is_empty() {
            return Ok(Self(json!({})));
        }
        if !is_json(&parts.headers) {
            return Err(Problem::malformed("The body must be JSON, with the header `Content-Type: application/json`."));
        }
        let value = serde_json::from_slice(&bytes).map_err(|error| Problem::malformed(not_json(&error)))?;
        Ok(Self(value))
    }
}

/// Where a text stops being JSON, without quoting it: it may hold a secret.
pub fn not_json(error: &serde_json::Error) -> String {
    format!("The body is not JSON: line {}, column {}.", error.line(), error.column())
}

/// What changes something takes its arguments in its path and its body.
fn refuse_query(parts: &Parts) -> Result<(), Problem> {
    let given = parts.uri.query().is_some_and(|query| !query.is_empty());
    if given { Err(Problem::malformed("This path takes no query; arguments are in the body.")) } else { Ok(()) }
}

/// A query of nothing.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// One name in the path.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // Who reads has filters, which say themselves what they know.
        if parts.method != Method::GET {
            refuse_query(parts)?;
        }
        let Path(name) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::malformed("The path is not UTF-8."))?;
        Ok(Self(name))
    }
}

/// The query, as `T`; what `T` does not know is refused.
pub struct Filters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Filters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(filters) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::malformed(format!("The query cannot be read: {}.", error.body_text())))?;
        Ok(Self(filters))
    }
}
