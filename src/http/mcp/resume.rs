//! `GET` with `Last-Event-ID`: a client that was cut off while it waited for a call comes back for the answer.
//!
//! INVARIANT: what cannot be answered is refused with an error. An empty stream would leave the client waiting for nothing.

use std::time::Duration;

use axum::http::{HeaderMap, Method};
use axum::response::Response;
use axum::response::sse::Event;
use futures::stream;
use rmcp::model::CallToolResponse;
use serde_json::{Value, json};

use super::calling;
use super::message::{MODERN, VERSION, error};
use super::sessions::SESSION_ID;
use super::streams::Resumption;
use crate::core::code::Code;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::http::gateway::Gateway;
use crate::http::live;
use crate::http::problem::Problem;

const LAST_EVENT_ID: &str = "last-event-id";

/// Whether a request asks for the rest of a stream. 2026-07-28 has no such thing, and ignores the header.
pub fn is_asked(method: &Method, headers: &HeaderMap) -> bool {
    let modern = headers.get(VERSION).and_then(|value| value.to_str().ok()).is_some_and(|version| version >= MODERN);
    method == Method::GET && headers.contains_key(LAST_EVENT_ID) && !modern
}

/// The stream that ends with the answer, on whichever node the client finds.
pub async fn resume(gateway: &Gateway, who: &Principal, headers: &HeaderMap, wait: Duration) -> Result<Response, Problem> {
    gateway.check_alive(who).await?;
    let only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    };
    let (event_id, session) = (only(LAST_EVENT_ID), only(SESSION_ID.as_str()));
    let Some((resumption, session)) = event_id.and_then(Resumption::read).zip(session) else {
        return Err(no_such_event());
    };
    let Resumption { call, request } = resumption;
    let control = std::sync::Arc::clone(gateway.control());
    let resumed = control.resume(&call, who, session).await?.ok_or_else(no_such_event)?;
    let (event_id, who) = (event_id.unwrap_or_default().to_owned(), who.clone());
    let answering = async move {
        let reply = control.answer_again(&resumed, &who, wait).await;
        let document = match calling::answer(&reply, false) {
            Ok(CallToolResponse::Complete(result)) => result_of(&request, &json!(result)),
            Ok(_) => result_of(&request, &json!(calling::result(&reply))),
            Err(fault) => error(&request, fault.code.0, &fault.message, fault.data.as_ref()),
        };
        Event::default().id(event_id).data(document.to_string())
    };
    Ok(live::answer(stream::once(answering)))
}

fn result_of(request: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request, "result": result })
}

fn no_such_event() -> Problem {
    let refusal = Refusal::new(Code::NotFound, "There is no such event to go on from.");
    refusal.hint("Find the call with activity_list, which takes the scope audit:read, and ask operation_get what became of it, before you call again.").into()
}
