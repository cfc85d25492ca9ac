//! `POST /api/v1/switches`: stops what the target names.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::read_time;
use crate::http::Http;
use crate::http::body::Arguments;
use crate::http::caller::Caller;
use crate::http::problem::Problem;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Arguments(mut args): Arguments) -> Result<Response, Problem> {
    read_time(&mut args, "expires_at")?;
    Ok(http.administer(caller, "switch_engage", args, StatusCode::CREATED).await)
}
