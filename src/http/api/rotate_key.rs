//! `POST /api/v1/keys/{id}/rotate`: replaces a key by a new one with the same rights.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::named;
use crate::http::Http;
use crate::http::body::{Arguments, Segment};
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Segment(id): Segment, Arguments(args): Arguments) -> Response {
    http.administer(caller, "key_rotate", named(args, &id), StatusCode::CREATED).await
}
