//! `GET /api/v1/exports`: the latest exports of the account, or of the staff.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Reason;
use crate::http::Http;
use crate::http::body::Filters;
use crate::http::caller::Caller;
use crate::http::exports::{Made, list};
use crate::http::problem::Problem;

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Filters(Reason { reason }): Filters<Reason>,
) -> Result<Json<Value>, Problem> {
    let whose = Some(caller.principal.account.clone());
    http.door.check_reader(&caller.principal, "exports", whose, json!({ "reason": reason })).await?;
    let made = list(&http, &caller.principal).await?;
    let items: Vec<Value> = made.iter().map(shown).collect();
    Ok(Json(json!({ "items": items, "next_cursor": null })))
}

fn shown(made: &Made) -> Value {
    let Made { record, export } = made;
    let mut shown = export.as_ref().map_or_else(|| json!({}), |export| json!(export));
    shown["id"] = json!(record.call_id);
    shown["status"] = json!(record.status);
    shown["created_at"] = record.at.document();
    shown["user"] = json!(record.user);
    shown
}
