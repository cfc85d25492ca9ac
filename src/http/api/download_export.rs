//! `GET /api/v1/exports/{id}/download`: the file of an export, the same as when it was made, or an error.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::Reason;
use crate::http::Http;
use crate::http::body::{Filters, Segment};
use crate::http::caller::Caller;
use crate::http::exports::{download, find};
use crate::http::problem::Problem;

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Segment(id): Segment,
    Filters(Reason { reason }): Filters<Reason>,
) -> Result<Response, Problem> {
    http.door.check_exporter(&caller.principal).await?;
    let made = find(&http, &caller.principal, &id).await?;
    Ok(download(&http, &caller.principal, made, reason.as_deref()).await?)
}
