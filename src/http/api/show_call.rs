//! `GET /api/v1/calls/{id}`: the timeline of one call, every event of it with what its caller may see.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::event::Event;
use crate::core::id::{CallId, Position};
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::http::Http;
use crate::http::body::Segment;
use crate::http::caller::Caller;
use crate::http::dated::dated;
use crate::http::problem::Problem;
use crate::log::reading::{ReadError, Reader};
use crate::tools::CallRecord;

/// Events read at once while a timeline is put together.
const STEP: u32 = 512;

pub async fn handle(State(http): State<Arc<Http>>, caller: Caller, Segment(id): Segment) -> Result<Json<Value>, Problem> {
    let who = &caller.principal;
    let ports = &http.door.control().ports;
    let own = (who.side == Side::Customer).then_some(&who.account);
    let id: Option<CallId> = id.parse().ok();
    let about = id.as_ref().map_or_else(|| "calls/unknown".to_owned(), |id| format!("calls/{id}"));
    http.door.check_reader(who, &about, None, json!({ "call_id": id })).await?;
    let id = id.ok_or_else(absent)?;
    let record = ports.activity.call(own, &id).await?.ok_or_else(absent)?;
    let events = timeline(&ports.reader, &record).await.map_err(|error| unreadable(&error))?;
    let mut document = dated(json!(record));
    if let Some(fields) = document.as_object_mut() {
        fields.insert("events".into(), events.into());
    }
    Ok(Json(document))
}

fn absent() -> Problem {
    Refusal::new(Code::NotFound, "There is no such call.").into()
}

fn unreadable(error: &ReadError) -> Problem {
    tracing::error!(%error, "a timeline cannot be read back");
    Refusal::new(Code::AuditUnavailable, "The call's events cannot be read back now.").into()
}

/// The call's events. Each names the one before it, so reading ends at the newest the record knows, or at the head.
async fn timeline(reader: &Reader, record: &CallRecord) -> Result<Vec<Value>, ReadError> {
    let head = reader.store.head().await?.position;
    let (mut after, mut events) = (Position(record.intent.0 - 1), Vec::new());
    let last = record.end.unwrap_or(head);
    while after < last {
        let page = reader.events(after, STEP).await?;
        let Some(newest) = page.last() else { break };
        after = newest.position;
        for event in page.iter().filter(|event| event.kind.call() == Some(&record.call_id)) {
            events.push(render(reader, event).await?);
        }
    }
    Ok(events)
}

async fn render(reader: &Reader, event: &Event) -> Result<Value, ReadError> {
    let mut document = dated(json!(event));
    for part in ["arguments", "result", "subject"] {
        if let (Some(value), Some(fields)) = (reader.part(event, part).await?, document.as_object_mut()) {
            fields.insert(format!("{part}_recorded"), value);
        }
    }
    Ok(document)
}
