//! `GET /api/v1/switches/reach`: what a target would stop, before anybody engages it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::endpoint::{Endpoint, ReadRequest};
use crate::core::engagement::{WHY_STAFF_ASK, check_target};
use crate::core::principal::Side;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::switch::{Target, UnknownTarget};
use crate::http::Http;
use crate::http::impact;
use crate::http::problem::Problem;

/// What may be asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReachQuery {
    /// What would be stopped, as switch_engage takes it.
    target: String,
    /// Why the staff asks.
    #[schemars(description = WHY_STAFF_ASK)]
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Reach {
    /// What would be stopped.
    #[schemars(with = "String")]
    target: Target,
    /// Calls a minute that it would have stopped lately, as a text: more than are counted are "over" so many.
    calls_per_minute: String,
    /// Customers that it touches.
    customers: usize,
    /// VMs that it touches.
    vms: usize,
    /// Calls that wait now.
    waiting: usize,
    /// Calls that run now.
    running: usize,
}

pub fn endpoint() -> Endpoint {
    let about = "What a target would stop, for staff.";
    Endpoint::reading("/switches/reach", about, |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(
    http: Arc<Http>,
    ReadRequest { caller, .. }: ReadRequest,
    ReachQuery { target, reason }: ReachQuery,
) -> Result<Reach, Problem> {
    if caller.principal.side != Side::Staff {
        return Err(Refusal::for_staff("What a switch reaches is for the staff to see.").into());
    }
    let target: Target = target.parse().map_err(|error: UnknownTarget| Problem::malformed(error.to_string()))?;
    let asked = json!({ "target": target.to_string(), "reason": reason });
    let state = http.gateway.state();
    http.gateway.check_reader(&caller.principal, Reading::Reach, target.owner(&state), asked).await?;
    check_target(&target, &state, &http.gateway.control().ports.names())?;
    let under_way = impact::under_way(&http.gateway, |call, state| target.covers(call, state)).await?;
    let (customers, vms) = impact::touched(&target, &state);
    Ok(Reach {
        calls_per_minute: impact::per_minute(&http.gateway, &target).await?,
        target,
        customers,
        vms,
        waiting: under_way.waiting,
        running: under_way.running.len(),
    })
}
