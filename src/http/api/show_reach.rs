//! `GET /api/v1/switches/reach`: what a target would stop, before anybody engages it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::switch::Target;
use crate::http::Http;
use crate::http::body::Filters;
use crate::http::caller::Caller;
use crate::http::console::reach;
use crate::http::problem::Problem;

/// What may be asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    target: String,
    reason: Option<String>,
}

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Filters(Asked { target, reason }): Filters<Asked>,
) -> Result<Json<Value>, Problem> {
    if caller.principal.side != Side::Staff {
        return Err(Refusal::new(Code::ForbiddenScope, "What a switch reaches is for the staff to see.").into());
    }
    let target: Target = target.parse().map_err(|_| Problem::malformed("There is no such thing to stop."))?;
    let asked = json!({ "target": target.to_string(), "reason": reason });
    http.door.check_reader(&caller.principal, "switches/reach", None, asked).await?;
    let under_way = reach::under_way(&http.door, |call, state| target.covers(call, state)).await?;
    let (customers, vms) = reach::touched(&target, &http.door.state());
    Ok(Json(json!({
        "target": target, "calls_per_minute": reach::per_minute(&http.door, &target).await?, "customers": customers, "vms": vms,
        "waiting": under_way.waiting, "running": under_way.running.len(),
    })))
}
