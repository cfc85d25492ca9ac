//! The last drill of the switches, on their page, and the button that makes one.

use axum::response::{IntoResponse, Redirect, Response};

use std::time::Duration;

use super::form::Posted;
use super::format::{DisplayTime, format_duration};
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::event::{DrillCompleted, EventKind};
use crate::core::time::Micros;
use crate::tools::AdministrationQuery;

/// After so long a drill says nothing any more.
const DUE: Duration = Duration::from_hours(30 * 24);

/// The newest drill.
pub struct LastDrill {
    /// When.
    pub at: DisplayTime,
    /// It is too long ago.
    pub is_due: bool,
    /// What did not hold, if it failed.
    pub failed: Option<&'static str>,
    /// What was measured, by name.
    pub figures: Vec<(&'static str, String)>,
    /// The call that it is.
    pub call: String,
}

/// The newest drill, if there was one.
pub async fn last(request: &SignedInRequest, now: Micros) -> Result<Option<LastDrill>, PageError> {
    let query = AdministrationQuery {
        visibility: request.visibility(),
        kind: Some("drill_completed".into()),
        limit: 1,
        ..AdministrationQuery::default()
    };
    let ports = &request.http.gateway.control().ports;
    let Some(record) = ports.activity.administration(query).await?.items.into_iter().next() else { return Ok(None) };
    let EventKind::DrillCompleted(drill) = record.event else { return Ok(None) };
    Ok(Some(LastDrill {
        at: DisplayTime::of(record.at, now),
        is_due: now.since(record.at) >= DUE,
        failed: drill.failed.map(crate::core::event::DrillFault::text),
        figures: figures(&drill),
        call: drill.drill.to_string(),
    }))
}

fn figures(drill: &DrillCompleted) -> Vec<(&'static str, String)> {
    let time = |us: Option<u64>| us.and_then(|us| i64::try_from(us).ok()).map_or_else(|| "never".to_owned(), format_duration);
    vec![
        ("until the first refusal", time(drill.refused_after_us)),
        ("until every node obeyed", time(drill.fenced_after_us)),
        ("let through under it", drill.admitted_after.map_or_else(|| "unknown".to_owned(), |count| count.to_string())),
        ("nodes", drill.nodes.to_string()),
    ]
}

/// Drills, by the tool, and shows what came of it.
pub async fn run(Posted { request, .. }: Posted) -> Result<Response, PageError> {
    request.done("switch_drill", serde_json::json!({})).await?;
    Ok(Redirect::to("/console/switches#drill").into_response())
}
