//! `GET|POST /api/v1/searches` and `DELETE /api/v1/searches/{id}`: the searches that the staff keep for each other.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::named;
use crate::http::Http;
use crate::http::body::{Arguments, Filters, Nothing, Segment};
use crate::http::caller::Caller;

pub async fn list(State(http): State<Arc<Http>>, caller: Caller, Filters(Nothing {}): Filters<Nothing>) -> Response {
    http.administer(caller, "search_list", json!({}), StatusCode::OK).await
}

pub async fn keep(State(http): State<Arc<Http>>, caller: Caller, Arguments(args): Arguments) -> Response {
    http.administer(caller, "search_keep", args, StatusCode::CREATED).await
}

pub async fn forget(State(http): State<Arc<Http>>, caller: Caller, Segment(id): Segment) -> Response {
    http.administer(caller, "search_forget", named(json!({}), &id), StatusCode::OK).await
}
