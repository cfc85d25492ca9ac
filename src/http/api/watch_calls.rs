//! `GET /api/v1/calls/live`: calls as they are decided and as they end, as server-sent events, with the list's filters.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::asked_calls::AskedCalls;
use super::endpoint::{Endpoint, ReadRequest};
use crate::core::reading::Reading;
use crate::core::render_times::render_times;
use crate::http::Http;
use crate::http::call_filters::CallFilters;
use crate::http::live::{LiveMessage, Watch, answer, beginning, place, watched};
use crate::http::problem::Problem;
use crate::tools::CallRecord;
use crate::tools::declare::plain_schema;

pub fn endpoint() -> Endpoint {
    let about = "Calls as they are decided and end, as server-sent events.";
    // What the data of each event is, by its name.
    let number = json!({ "type": "integer" });
    let events = json!({
        "call": plain_schema::<CallRecord>(),
        "skipped": { "type": "object", "properties": { "skipped": number, "position": number }, "required": ["skipped"] },
        "reached": { "type": "object", "properties": { "position": number } },
    });
    let answers = json!({ "text/event-stream": { "schema": { "type": "string" }, "x-events": events } });
    Endpoint::streaming("/calls/live", about, answers, |http, asking, asked| Box::pin(watch(http, asking, asked)))
}

async fn watch(http: Arc<Http>, asking: ReadRequest, asked: CallFilters) -> Result<Response, Problem> {
    let ReadRequest { caller, headers, .. } = asking;
    let (who, now) = (&caller.principal, http.gateway.control().ports.clock.now());
    let asked = AskedCalls::of(&http, who, &asked)?;
    let watched = watched(who.credential.to_string(), &asked.note);
    let place = place(&http, who)?;
    let query = if headers.contains_key("last-event-id") && http.watches.goes_on(&watched, now) {
        asked.read_on(&http, who).await?
    } else {
        asked.read(&http, who, Reading::LiveCalls).await?
    };
    let after = beginning(&http, &headers, None, &watched).await?;
    let side = caller.principal.side;
    let watch = Watch::new(&http, caller.principal, None, watched, query, after, place);
    Ok(answer(watch.stream(side, |told| std::future::ready(to_json(&told)))))
}

fn to_json(told: &LiveMessage) -> Value {
    if let LiveMessage::Call(_, record) = told { render_times(json!(record)) } else { Value::Null }
}
