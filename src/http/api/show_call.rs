//! `GET /api/v1/calls/{id}`: the timeline of one call, every event of it with what its caller may see.

use std::sync::Arc;

use serde_json::json;

use super::Reason;
use super::endpoint::{Endpoint, ReadRequest};
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::principal::Side;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::visibility::Visibility;
use crate::http::Http;
use crate::http::problem::Problem;
use crate::tools::CallTimeline;

pub fn endpoint() -> Endpoint {
    let about = "One call and its events.";
    Endpoint::reading("/calls/{id}", about, |http, asking, reason| Box::pin(read(http, asking, reason)))
}

async fn read(
    http: Arc<Http>,
    ReadRequest { caller, id, .. }: ReadRequest,
    Reason { reason }: Reason,
) -> Result<CallTimeline, Problem> {
    let who = &caller.principal;
    let id: Option<CallId> = id.parse().ok();
    let activity = &http.gateway.control().ports.activity;
    // Whose call it is, so that this account can see who read it.
    let whose = match &id {
        Some(id) if who.side == Side::Staff => activity.call(&Visibility::Everything, id).await?.map(|record| record.account),
        _ => None,
    };
    // The id of what is nobody's is told to nobody.
    let what = Reading::Call(whose.as_ref().and(id.clone()));
    http.gateway.check_reader(who, what, whose, json!({ "call_id": id, "reason": reason })).await?;
    let id = id.ok_or_else(absent)?;
    let visibility = Visibility::of(who, &http.gateway.state());
    activity.timeline(&visibility, &id).await?.ok_or_else(absent)
}

fn absent() -> Problem {
    Refusal::new(Code::NotFound, "There is no such call.").into()
}
