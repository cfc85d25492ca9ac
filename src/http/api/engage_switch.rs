//! `POST /api/v1/switches`: stops what the target names.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::Http;
use crate::http::body::Arguments;
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Arguments(args): Arguments) -> Response {
    http.administer(caller, "switch_engage", args, StatusCode::CREATED).await
}
