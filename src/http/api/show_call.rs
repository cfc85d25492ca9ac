//! `GET /api/v1/calls/{id}`: the timeline of one call, every event of it with what its caller may see.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::Reason;
use super::endpoint::{Endpoint, ReadRequest};
use crate::core::code::Code;
use crate::core::id::{CallId, Position};
use crate::core::principal::Side;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::http::Http;
use crate::http::problem::Problem;
use crate::tools::CallRecord;

/// The timeline as the views answer it.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
struct Shown(#[schemars(with = "Timeline")] Value);

/// What it is.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what the views make")]
struct Timeline {
    #[serde(flatten)]
    call: CallRecord,
    /// Its arguments without secrets, those of its tool; null if their key was erased.
    arguments: Value,
    /// Its recorded result, that of its tool.
    result: Value,
    /// How long its steps took, in microseconds.
    durations: Durations,
    /// Every event of it, in order.
    events: Vec<Moment>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what the views make")]
struct Durations {
    /// From the intent to the decision.
    decided: Option<i64>,
    /// From the decision to the start, for a queued call.
    queued: Option<i64>,
    /// From the start to the end.
    ran: Option<i64>,
    /// From the intent to the end.
    total: Option<i64>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what the views make")]
struct Moment {
    /// Where it is written.
    position: Position,
    /// When.
    at: Micros,
    /// What happened.
    r#type: String,
    /// The leaf as it was hashed; null if it names whom the reader may not know.
    leaf: Value,
    /// SHA-256 of the leaf's bytes, hex.
    sha256: String,
}

pub fn endpoint() -> Endpoint {
    let about = "One call and its events.";
    Endpoint::reading("/calls/{id}", about, |http, asking, reason| Box::pin(read(http, asking, reason)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, id, .. }: ReadRequest, Reason { reason }: Reason) -> Result<Shown, Problem> {
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
    let timeline = activity.timeline(&visibility, &id).await?.ok_or_else(absent)?;
    Ok(Shown(flat(timeline)))
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
