//! `GET /api/v1/policies`: the policies in force, and whether the files of the node that is asked are they.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::http::Http;
use crate::http::caller::Caller;
use crate::http::problem::Problem;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller) -> Result<Json<Value>, Problem> {
    http.check_rules(&caller.principal).await?;
    Ok(Json(http.policies_in_force().await?.document()))
}
