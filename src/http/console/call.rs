//! `GET /console/calls/{id}`: one call, from its intent to its end, as it is written down.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use serde_json::{Value, json as object};

use super::activity::{Row, rows};
use super::fault::Fault;
use super::frame::{Frame, page};
use super::shown::json;
use super::timeline::{Step, steps};
use super::visit::Visit;
use crate::core::id::CallId;
use crate::http::api::sight::Sight;

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
}

/// The page.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let id: CallId = id.parse().map_err(|_| Fault::NotFound)?;
    let (door, who) = (&visit.http.door, &visit.principal);
    door.check_reader(who, &format!("calls/{id}"), None, object!({ "call_id": id })).await?;
    let sight = Sight::of(who, &door.state());
    let activity = &door.control().ports.activity;
    let record = activity.call(sight.account.as_ref(), &id).await?.ok_or(Fault::NotFound)?;
    if sight.credential.is_some_and(|credential| credential != record.credential) {
        return Err(Fault::NotFound);
    }
    let timeline = activity.timeline(sight.account.as_ref(), &id).await?.ok_or(Fault::NotFound)?;
    let row = rows(std::slice::from_ref(&record), &visit).await.pop().ok_or(Fault::NotFound)?;
    let part = |name: &str| timeline.get(name).filter(|value| !value.is_null()).map(json);
    let events: &[Value] = timeline["events"].as_array().map_or(&[], Vec::as_slice);
    Ok(page(&Call {
        frame: Frame::of(format!("{} · call", record.tool), "/console/activity", &visit).await,
        steps: steps(events, &door.state(), door.control().ports.clock.now()),
        arguments: part("arguments"),
        result: part("result"),
        is_over: record.status.is_terminal(),
        credential: record.credential,
        session: record.session,
        ip: record.ip,
        row,
    }))
}
