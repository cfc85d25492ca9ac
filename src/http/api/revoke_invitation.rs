//! `DELETE /api/v1/invitations/{id}`: ends an invitation; its link does not work any more.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::named;
use crate::http::Http;
use crate::http::body::Segment;
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Segment(id): Segment) -> Response {
    http.administer(caller, "invitation_revoke", named(json!({}), &id), StatusCode::OK).await
}
