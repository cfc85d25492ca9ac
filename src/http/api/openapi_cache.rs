//! `GET /api/v1/openapi.json`: the document is made once, for everybody. Whoever has it already is told so.
//!
//! INVARIANT: it says the same as long as the process runs, so nobody makes it be made again.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::openapi;
use crate::http::Http;

/// What is known of the API, once somebody has asked.
#[derive(Default)]
pub struct Described(OnceLock<Description>);

struct Description {
    text: Bytes,
    tag: String,
}

pub async fn handle(State(http): State<Arc<Http>>, headers: HeaderMap) -> Response {
    let made = || {
        let text = Bytes::from(openapi::document(&http.gateway.control().catalogue).to_string());
        let tag = format!("\"{}\"", hex::encode(Sha256::digest(&text)).chars().take(32).collect::<String>());
        Description { text, tag }
    };
    let Description { text, tag } = http.api.0.get_or_init(made);
    // Everything else here is `no-store`; this may be kept by whoever asks each time whether it still holds.
    let shared = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if knows(&headers, tag) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    (shared, [(header::CONTENT_TYPE, "application/json")], text.clone()).into_response()
}

/// Whether a client names what it has as this.
fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = named.flat_map(|line| line.split(',')).map(|named| named.trim().trim_start_matches("W/"));
    tags.any(|named| named == tag || named == "*")
}
