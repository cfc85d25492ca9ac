//! `GET /api/v1/switches`: the switches in force.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::http::Http;
use crate::http::body::{Filters, Nothing};
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Filters(Nothing {}): Filters<Nothing>) -> Response {
    http.administer(caller, "switch_list", json!({}), StatusCode::OK).await
}
