//! `POST /api/v1/keys`: makes a key, which is answered once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::Http;
use crate::http::body::Arguments;
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Arguments(args): Arguments) -> Response {
    http.administer(caller, "key_create", args, StatusCode::CREATED).await
}
