//! `GET /api/v1/approvals`: the calls that wait for a person. Until calls can be held there are none.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::http::Http;
use crate::http::caller::Caller;
use crate::http::problem::Problem;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller) -> Result<Json<Value>, Problem> {
    http.door.check_alive(&caller.principal).await?;
    Ok(Json(json!({ "items": [], "next_cursor": null })))
}
