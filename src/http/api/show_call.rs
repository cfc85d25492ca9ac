//! `GET /api/v1/calls/{id}`: the timeline of one call, every event of it with what its caller may see.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Reason;
use crate::core::code::Code;
use crate::core::dated::dated;
use crate::core::id::CallId;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::sight::Sight;
use crate::http::Http;
use crate::http::body::{Filters, Segment};
use crate::http::caller::Caller;
use crate::http::problem::Problem;

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Segment(id): Segment,
    Filters(Reason { reason }): Filters<Reason>,
) -> Result<Json<Value>, Problem> {
    let who = &caller.principal;
    let id: Option<CallId> = id.parse().ok();
    let what = id.as_ref().map_or_else(|| "calls/unknown".to_owned(), |id| format!("calls/{id}"));
    let activity = &http.door.control().ports.activity;
    // Whose call it is, so that this account can see who read it.
    let whose = match &id {
        Some(id) if who.side == Side::Staff => {
            activity.call(&Sight::Everything, id).await.ok().flatten().map(|record| record.account)
        }
        _ => None,
    };
    http.door.check_reader(who, &what, whose, json!({ "call_id": id, "reason": reason })).await?;
    let id = id.ok_or_else(absent)?;
    let sight = Sight::of(who, &http.door.state());
    let timeline = activity.timeline(&sight, &id).await?.ok_or_else(absent)?;
    Ok(Json(dated(flat(timeline))))
}

/// The call's own fields first, then what is known besides.
fn flat(timeline: Value) -> Value {
    let Value::Object(mut fields) = timeline else { return timeline };
    let mut call = fields.remove("call").unwrap_or_default();
    if let Some(call) = call.as_object_mut() {
        call.extend(fields);
    }
    call
}

fn absent() -> Problem {
    Refusal::new(Code::NotFound, "There is no such call.").into()
}
