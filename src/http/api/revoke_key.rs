//! `DELETE /api/v1/keys/{id}`: revokes a key; its next request fails.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::named;
use crate::http::Http;
use crate::http::body::Segment;
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Segment(id): Segment) -> Response {
    http.administer(caller, "key_revoke", named(json!({}), &id), StatusCode::OK).await
}
