//! `GET /api/v1/exports/{id}/download`: the file of an export, the same as when it was made, or an error.

use std::sync::Arc;

use axum::response::Response;
use serde_json::json;

use super::Reason;
use super::endpoint::{Endpoint, ReadRequest};
use crate::http::Http;
use crate::http::exports::{download, find};
use crate::http::problem::Problem;

pub fn endpoint() -> Endpoint {
    let file = json!({ "schema": { "type": "string" } });
    let answers = json!({ "text/csv": file, "application/x-ndjson": file });
    let about = "The file of an export.";
    Endpoint::streaming("/exports/{id}/download", about, answers, |http, asking, reason| Box::pin(read(http, asking, reason)))
}

async fn read(
    http: Arc<Http>,
    ReadRequest { caller, id, .. }: ReadRequest,
    Reason { reason }: Reason,
) -> Result<Response, Problem> {
    http.gateway.check_exporter(&caller.principal).await?;
    let made = find(&http, &caller.principal, &id).await?;
    Ok(download(&http, &caller.principal, made, reason.as_deref()).await?)
}
