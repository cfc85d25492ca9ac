//! `POST /api/v1/policies/reload`: puts the policy files of the node that is asked in force.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::Http;
use crate::http::body::Arguments;
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Arguments(args): Arguments) -> Response {
    http.administer(caller, "policy_reload", args, StatusCode::OK).await
}
