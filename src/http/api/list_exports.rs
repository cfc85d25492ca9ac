//! `GET /api/v1/exports`: the latest exports of the account, or of the staff.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Reason;
use super::endpoint::{Endpoint, ReadRequest};
use crate::core::call::Status;
use crate::core::id::CallId;
use crate::core::reading::Reading;
use crate::core::time::Micros;
use crate::http::Http;
use crate::http::exports::{Made, list};
use crate::http::problem::Problem;
use crate::tools::export::Export;

/// The exports; these have one page.
#[derive(Serialize, JsonSchema)]
struct Page {
    /// The exports, newest first.
    items: Vec<Listed>,
    /// There is one page.
    next_cursor: (),
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    /// The call that made it, by which it is downloaded.
    id: CallId,
    /// How that call stands.
    status: Status,
    /// When it was asked for.
    created_at: Micros,
    /// Who asked for it.
    user: String,
    /// What was recorded of it, once it is made.
    #[serde(flatten)]
    export: Option<Export>,
}

pub fn endpoint() -> Endpoint {
    let about = "The latest exports.";
    Endpoint::reading("/exports", about, |http, asking, reason| Box::pin(read(http, asking, reason)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, .. }: ReadRequest, Reason { reason }: Reason) -> Result<Page, Problem> {
    let whose = Some(caller.principal.account.clone());
    http.gateway.check_reader(&caller.principal, Reading::Exports, whose, json!({ "reason": reason })).await?;
    let made = list(&http, &caller.principal).await?;
    Ok(Page { items: made.into_iter().map(listed).collect(), next_cursor: () })
}

fn listed(Made { record, export }: Made) -> Listed {
    Listed { id: record.call_id, status: record.status, created_at: record.at, user: record.user, export }
}
