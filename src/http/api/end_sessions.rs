//! `DELETE /api/v1/people/{id}/sessions` and `…/sessions/{session}`: signs a person out, everywhere or of one session.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::http::Http;
use crate::http::body::{Segment, Segments};
use crate::http::caller::Caller;

pub async fn all(State(http): State<Arc<Http>>, caller: Caller, Segment(user): Segment) -> Response {
    http.administer(caller, "session_end", json!({ "user": user }), StatusCode::OK).await
}

pub async fn one(State(http): State<Arc<Http>>, caller: Caller, Segments(user, session): Segments) -> Response {
    http.administer(caller, "session_end", json!({ "user": user, "session": session }), StatusCode::OK).await
}
