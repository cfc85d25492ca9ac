//! Whoever reads is asked about once more when what they read is there: it may have waited for the views, or been looked for
//! for long.
//!
//! INVARIANT: a reading is not answered to a key that ended before it was read (P8). What changes something answers with what
//! it did, and is looked at where it waits (`control/recheck.rs`).

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Http;
use super::problem::Problem;
use crate::control::Recipient;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;

/// The principal of a request, once it is known.
#[derive(Clone, Default)]
pub struct Reader(Arc<OnceLock<Principal>>);

impl Reader {
    /// It is theirs.
    pub fn note(parts: &Parts, who: &Principal) {
        if let Some(reader) = parts.extensions.get::<Self>() {
            // Whoever was found first; a request has one caller.
            let _ = reader.0.set(who.clone());
        }
    }
}

/// Answers a reading of the API, if its key still lives.
pub async fn program(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let answered = answered(&http, request, next).await;
    answered.unwrap_or_else(|refusal| Problem::from(refusal).into_response())
}

/// What a request is answered, unless it reads and its caller is over by now.
pub async fn answered(http: &Http, mut request: Request, next: Next) -> Result<Response, Refusal> {
    if !request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    let reader = Reader::default();
    request.extensions_mut().insert(reader.clone());
    let response = next.run(request).await;
    if let Some(who) = reader.0.get().filter(|_| response.status().is_success()) {
        http.gateway.control().recheck_in_log(Recipient::listening(who)).await?;
    }
    Ok(response)
}
