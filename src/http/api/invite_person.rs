//! `POST /api/v1/invitations`: makes a link by which somebody becomes one of an account's people. It is answered once.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::Http;
use crate::http::body::Arguments;
use crate::http::caller::Caller;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Arguments(args): Arguments) -> Response {
    http.administer(caller, "person_invite", args, StatusCode::CREATED).await
}
