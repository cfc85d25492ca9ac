//! The last drill of the switches, on their page, and the button that makes one.

use axum::response::{IntoResponse, Redirect, Response};

use std::time::Duration;

use super::fault::Fault;
use super::form::Posted;
use super::shown::{When, took};
use super::visit::Visit;
use crate::core::event::{DrillCompleted, Kind};
use crate::core::time::Micros;
use crate::tools::AdministrationQuery;

/// After so long a drill says nothing any more.
const DUE: Duration = Duration::from_hours(30 * 24);

/// The newest drill.
pub struct Drilled {
    /// When.
    pub at: When,
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
pub async fn last(visit: &Visit, now: Micros) -> Result<Option<Drilled>, Fault> {
    let query = AdministrationQuery {
        sight: visit.sight(),
        kind: Some("drill_completed".into()),
        limit: 1,
        ..AdministrationQuery::default()
    };
    let ports = &visit.http.door.control().ports;
    let Some(record) = ports.activity.administration(query).await?.items.into_iter().next() else { return Ok(None) };
    let event = ports.reader.event(record.position).await.ok().flatten();
    let Some(Kind::DrillCompleted(drill)) = event.map(|event| event.kind) else { return Ok(None) };
    Ok(Some(Drilled {
        at: When::of(record.at, now),
        is_due: now.since(record.at) >= DUE,
        failed: drill.failed.map(crate::core::event::DrillFault::text),
        figures: figures(&drill),
        call: drill.drill.to_string(),
    }))
}

fn figures(drill: &DrillCompleted) -> Vec<(&'static str, String)> {
    let time = |us: Option<u64>| us.and_then(|us| i64::try_from(us).ok()).map_or_else(|| "never".to_owned(), took);
    vec![
        ("until the first refusal", time(drill.refused_after_us)),
        ("until every node obeyed", time(drill.fenced_after_us)),
        ("let through under it", drill.admitted_after.map_or_else(|| "unknown".to_owned(), |count| count.to_string())),
        ("nodes", drill.nodes.to_string()),
    ]
}

/// Drills, by the tool, and shows what came of it.
pub async fn run(Posted { visit, .. }: Posted) -> Result<Response, Fault> {
    visit.done("switch_drill", serde_json::json!({})).await?;
    Ok(Redirect::to("/console/switches#drill").into_response())
}
