//! `POST /api/v1/switches/drill`: tries the switches on a key of the house's own.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::http::Http;
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller) -> Response {
    http.administer(caller, "switch_drill", json!({}), StatusCode::OK).await
}
