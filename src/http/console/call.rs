//! `GET /console/calls/{id}`: one call, from its intent to its end, as it is written down.

use askama::Template;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json as object};

use super::activity::{Row, rows};
use super::fault::Fault;
use super::frame::{Frame, page};
use super::search::line::Line;
use super::shown::{json, took};
use super::timeline::{Step, steps};
use super::visit::Visit;
use crate::core::id::CallId;
use crate::core::search::Field;
use crate::core::time::Micros;
use crate::http::api::sight::Sight;
use crate::http::dated::dated;
use crate::tools::CallRecord;

#[derive(Template)]
#[template(path = "call.html")]
struct Call {
    frame: Frame,
    row: Row,
    steps: Vec<Step>,
    arguments: Option<String>,
    result: Option<String>,
    is_over: bool,
    credential: String,
    session: Option<String>,
    ip: Option<String>,
    is_staff: bool,
    durations: Vec<(&'static str, String)>,
    around: Vec<Around>,
}

/// How far around a call it is looked, in microseconds.
const AROUND: i64 = 5 * 60 * 1_000_000;

/// Calls around one, as a search.
struct Around {
    text: &'static str,
    href: String,
}

/// A call and its timeline, for somebody who may see it. That staff read it is written down with whose call it is.
async fn found(visit: &Visit, id: &str) -> Result<(CallRecord, Value), Fault> {
    let id: CallId = id.parse().map_err(|_| Fault::NotFound)?;
    let activity = &visit.http.door.control().ports.activity;
    let whose = if visit.is_staff() { activity.call(None, &id).await?.map(|record| record.account) } else { None };
    visit.check_reader(&format!("calls/{id}"), whose, object!({ "call_id": id })).await?;
    let sight = Sight::of(&visit.principal, &visit.http.door.state());
    let record = activity.call(sight.account.as_ref(), &id).await?.ok_or(Fault::NotFound)?;
    if sight.credential.is_some_and(|credential| credential != record.credential) {
        return Err(Fault::NotFound);
    }
    let timeline = activity.timeline(sight.account.as_ref(), &id).await?.ok_or(Fault::NotFound)?;
    Ok((record, timeline))
}

/// The page.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let (record, timeline) = found(&visit, &id).await?;
    let door = &visit.http.door;
    let row = rows(std::slice::from_ref(&record), &visit).await.pop().ok_or(Fault::NotFound)?;
    let part = |name: &str| timeline.get(name).filter(|value| !value.is_null()).map(json);
    let events: &[Value] = timeline["events"].as_array().map_or(&[], Vec::as_slice);
    Ok(page(&Call {
        frame: Frame::of(format!("{} · call", record.tool), "/console/activity", &visit).await,
        steps: steps(events, &door.state(), door.control().ports.clock.now()),
        arguments: part("arguments"),
        result: part("result"),
        is_over: record.status.is_terminal(),
        is_staff: visit.is_staff(),
        durations: durations(&timeline["durations"]),
        around: if visit.is_staff() { around(&record) } else { Vec::new() },
        credential: record.credential,
        session: record.session,
        ip: record.ip,
        row,
    }))
}

/// The same as JSON, leaves included, as the API answers it.
pub async fn raw(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let (_, timeline) = found(&visit, &id).await?;
    let headers = [(CONTENT_TYPE, "application/json; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((headers, json(&dated(timeline))).into_response())
}

fn durations(told: &Value) -> Vec<(&'static str, String)> {
    let parts = [("Deciding", "decided"), ("Waiting for a worker", "queued"), ("Running", "ran"), ("In all", "total")];
    parts.into_iter().filter_map(|(text, name)| Some((text, took(told[name].as_i64()?)))).collect()
}

/// What else happened within five minutes: in its session, on its VM, by its key.
fn around(record: &CallRecord) -> Vec<Around> {
    let (from, to) = (Micros(record.at.0 - AROUND), Micros(record.at.0 + AROUND));
    let time = format!("created:{}..{}", from.rfc3339(), to.rfc3339());
    let same = |text, field, value: Option<&str>| {
        Some(Around { text, href: Line::default().and(field, value?, false).over(&time).href() })
    };
    let account = Some(record.account.as_str());
    [
        same("In its session", Field::Session, record.session.as_deref()),
        same("On its VM", Field::Vm, record.vm.as_deref()),
        same("By its key", Field::Credential, Some(&record.credential)),
        same("In its account", Field::Account, account),
    ]
    .into_iter()
    .flatten()
    .collect()
}
