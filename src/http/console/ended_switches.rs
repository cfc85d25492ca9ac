//! Switches that are over: who engaged and who ended each, why, and how long it stopped.

use super::format::{DisplayTime, escape_hidden, format_approximate};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::target_words::stopped;
use super::who::{actor, operator, person};
use crate::core::event::EventKind;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::tools::{AdministrationQuery, AdministrationRecord};

/// Switches on one page.
const PAGE: u32 = 20;

/// Events of one switch that its end is looked for among.
const EVENTS: u32 = 50;

/// A switch that is over.
pub struct EndedSwitch {
    /// Its id.
    pub id: String,
    /// What it stopped, in words.
    pub stops: String,
    /// The target as it is written.
    pub target: String,
    /// Why.
    pub reason: String,
    /// Who engaged it.
    pub by: String,
    /// When.
    pub since: DisplayTime,
    /// How long it stopped.
    pub length: String,
    /// How it ended, and by whom.
    pub end: String,
}

/// A page of them, newest first, and where the next one begins.
pub async fn page_of(
    request: &SignedInRequest,
    cursor: Option<String>,
    now: Micros,
) -> Result<(Vec<EndedSwitch>, Option<String>), PageError> {
    let (activity, state) = (&request.http.gateway.control().ports.activity, request.http.gateway.state());
    let kind = Some("switch_engaged".to_owned());
    let query =
        AdministrationQuery { visibility: request.visibility(), kind, limit: PAGE, cursor, ..AdministrationQuery::default() };
    let found = activity.administration(query).await?;
    let mut rows = Vec::new();
    for record in &found.items {
        rows.extend(past(request, record, &state, now).await?);
    }
    Ok((rows, found.next_cursor))
}

/// A switch and its end; none while it is in force.
async fn past(
    request: &SignedInRequest,
    record: &AdministrationRecord,
    state: &ControlState,
    now: Micros,
) -> Result<Option<EndedSwitch>, PageError> {
    let Some(id) = record.subject.clone() else { return Ok(None) };
    let query = AdministrationQuery {
        visibility: request.visibility(),
        subject: Some(id.clone()),
        limit: EVENTS,
        ..AdministrationQuery::default()
    };
    let events = request.http.gateway.control().ports.activity.administration(query).await?.items;
    let Some(end) = events.iter().find(|event| matches!(event.kind.as_str(), "switch_released" | "switch_expired")) else {
        return Ok(None);
    };
    let EventKind::SwitchEngaged { target, .. } = &record.event else { return Ok(None) };
    Ok(Some(EndedSwitch {
        id,
        stops: stopped(target, state),
        target: target.to_string(),
        reason: escape_hidden(record.note["reason"].as_str().unwrap_or_default()),
        by: actor(request, record).await,
        since: DisplayTime::of(record.at, now),
        length: format_approximate(end.at.since(record.at)),
        end: ended(request, end).await,
    }))
}

/// How it ended, and by whom: by two persons, if its event says so.
async fn ended(request: &SignedInRequest, end: &AdministrationRecord) -> String {
    if end.kind == "switch_expired" {
        return "by itself".into();
    }
    if let Some(operator) = operator(&end.note) {
        return operator;
    }
    let second = person(request, end.user.clone()).await;
    match &end.event {
        EventKind::SwitchReleased { by: Some(first), second: Some(_), .. } => {
            format!("asked for by {}, confirmed by {second}", person(request, Some(first.to_string())).await)
        }
        _ => format!("by {second}"),
    }
}
