//! `GET /api/v1/keys`: the keys, without their secrets.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Whose;
use crate::http::Http;
use crate::http::body::Filters;
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Filters(whose): Filters<Whose>) -> Response {
    http.administer(caller, "key_list", whose.args(), StatusCode::OK).await
}
