//! `GET /api/v1/exports`: the exports of the account, or of the staff.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::endpoint::{Endpoint, ReadRequest};
use crate::core::call::Status;
use crate::core::engagement::WHY_STAFF_ASK;
use crate::core::id::CallId;
use crate::core::reading::Reading;
use crate::core::time::Micros;
use crate::http::Http;
use crate::http::exports::{Made, list};
use crate::http::problem::Problem;
use crate::tools::export::Export;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Why the staff asks.
    #[schemars(description = WHY_STAFF_ASK)]
    reason: Option<String>,
    /// next_cursor of the page before.
    cursor: Option<String>,
}

/// A page of exports.
#[derive(Serialize, JsonSchema)]
struct Page {
    /// The exports, newest first.
    items: Vec<Listed>,
    /// Where the next page begins, if there is one.
    next_cursor: Option<String>,
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
    let about = "The exports, newest first.";
    Endpoint::reading("/exports", about, |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(
    http: Arc<Http>,
    ReadRequest { caller, .. }: ReadRequest,
    Asked { reason, cursor }: Asked,
) -> Result<Page, Problem> {
    let whose = Some(caller.principal.account.clone());
    http.gateway.check_reader(&caller.principal, Reading::Exports, whose, json!({ "reason": reason })).await?;
    let (made, next_cursor) = list(&http, &caller.principal, cursor).await?;
    Ok(Page { items: made.into_iter().map(listed).collect(), next_cursor })
}

fn listed(Made { record, export }: Made) -> Listed {
    Listed { id: record.call_id, status: record.status, created_at: record.at, user: record.user, export }
}
