//! `GET /api/v1/events`: what happened outside of calls, newest first: switches, keys, VMs, policies, nodes, sign-ins, and who
//! read the log. A customer sees what affects its account, staff's reading included; a key that is limited to some VMs sees
//! what is about itself and these.

use std::sync::Arc;

use serde_json::json;

use super::endpoint::{Endpoint, ReadRequest};
use crate::core::reading::Reading;
use crate::http::Http;
use crate::http::event_filters::EventFilters;
use crate::http::problem::Problem;
use crate::tools::AdministrationPage;

pub fn endpoint() -> Endpoint {
    let about = "What happened outside of calls.";
    Endpoint::reading("/events", about, |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(
    http: Arc<Http>,
    ReadRequest { caller, .. }: ReadRequest,
    asked: EventFilters,
) -> Result<AdministrationPage, Problem> {
    if let Some(fault) = asked.fault() {
        return Err(Problem::malformed(fault));
    }
    let whose = asked.owner(&http.gateway.state());
    http.gateway.check_reader(&caller.principal, Reading::Events, whose, json!(asked)).await?;
    Ok(http.events(&caller.principal, asked).await?)
}
