//! `POST /api/v1/exports`: makes a file of the calls of a search; the id of the call is the export's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::Http;
use crate::http::body::Arguments;
use crate::http::caller::Caller;
use crate::tools::export::CREATE;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Arguments(args): Arguments) -> Response {
    http.administer(caller, CREATE, args, StatusCode::CREATED).await
}
