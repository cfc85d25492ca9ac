//! `PATCH /api/v1/people/{id}`: gives a person another role.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::named;
use crate::http::Http;
use crate::http::body::{Arguments, Segment};
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Segment(id): Segment, Arguments(args): Arguments) -> Response {
    http.administer(caller, "person_role_set", named(args, &id), StatusCode::OK).await
}
