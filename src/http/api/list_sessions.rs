//! `GET /api/v1/people/{id}/sessions`: where a person is signed in to the console.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::http::Http;
use crate::http::body::{Filters, Nothing, Segment};
use crate::http::caller::Caller;

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Segment(user): Segment,
    Filters(Nothing {}): Filters<Nothing>,
) -> Response {
    http.administer(caller, "session_list", json!({ "user": user }), StatusCode::OK).await
}
