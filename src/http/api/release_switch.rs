//! `POST /api/v1/switches/{id}/release`: asks for a switch's release; a global one takes two persons.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::named;
use crate::http::Http;
use crate::http::body::{Arguments, Segment};
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Segment(id): Segment, Arguments(args): Arguments) -> Response {
    http.administer(caller, "switch_release", named(args, &id), StatusCode::OK).await
}
