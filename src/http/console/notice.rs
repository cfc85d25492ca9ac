//! What the staff are told on every page for a while: a switch that was engaged or released on the data itself, past the
//! second person and past every role, and a switch that has ended by itself.
//!
//! INVARIANT: it is read from the log's views, so whoever acted cannot keep it from being shown. Acknowledging an alarm names
//! who did, and takes it away from nobody before its day is over.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::address::local;
use super::form::Posted;
use super::format::DisplayTime;
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::who::{operator, person};
use crate::core::event::EventKind;
use crate::core::id::Position;
use crate::core::scope::Scope;
use crate::core::time::Micros;
use crate::tools::{AdministrationQuery, AdministrationRecord};

/// How long the use of the command line on the data is shown.
const ALARM: Duration = Duration::from_hours(24);

/// How long an end by itself is shown.
const ENDED: Duration = Duration::from_hours(1);

/// Events of a kind that are read at a time: every page of the staff reads so many.
const PAGE: u32 = 5;

/// How many times that many are looked through for an alarm: what agents engage must not push it out.
const PAGES: usize = 200;

/// What the staff are told.
#[derive(Default)]
pub struct Notices {
    /// What passed over the rules that hold for everybody else, newest first.
    pub alarms: Vec<Alarm>,
    /// Whoever looks may acknowledge an alarm.
    pub may_acknowledge: bool,
    /// Switches that have ended by themselves, newest first.
    pub ended: Vec<Notice>,
}

impl Notices {
    /// The alarms that nobody has acknowledged.
    pub fn open(&self) -> usize {
        self.alarms.iter().filter(|alarm| alarm.acknowledged.is_empty()).count()
    }
}

/// Something that happened.
pub struct Notice {
    /// What.
    pub text: String,
    /// When.
    pub at: DisplayTime,
    /// Where more is.
    pub href: String,
}

/// A use of the command line on the data.
pub struct Alarm {
    /// What was done.
    pub notice: Notice,
    /// The position of its event.
    pub position: String,
    /// Who has acknowledged it, first to last.
    pub acknowledged: Vec<String>,
}

/// What there is to tell now.
pub async fn notices(request: &SignedInRequest, now: Micros) -> Notices {
    let mut alarms: Vec<(Position, Notice)> = Vec::new();
    for kind in ["switch_engaged", "switch_released", "release_ramped"] {
        let young = since(request, kind, now, ALARM, PAGES).await;
        alarms.extend(young.iter().filter_map(|record| Some((record.position, deed(record, now)?))));
    }
    alarms.sort_unstable_by_key(|(position, _)| std::cmp::Reverse(*position));
    let ended = since(request, "switch_expired", now, ENDED, 1).await;
    let mut answers = if alarms.is_empty() { BTreeMap::new() } else { acknowledged(request, now).await };
    let alarm = |(position, notice): (Position, Notice)| {
        let acknowledged = answers.remove(&position).unwrap_or_default();
        Alarm { notice, position: position.0.to_string(), acknowledged }
    };
    Notices {
        alarms: alarms.into_iter().map(alarm).collect(),
        may_acknowledge: request.may(Scope::StaffSwitch),
        ended: ended.iter().filter_map(|record| notice(record, "A switch has ended by itself.".to_owned(), now)).collect(),
    }
}

/// Acknowledges an alarm, by the tool.
pub async fn acknowledge(Path(alarm): Path<i64>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    request.done("alarm_acknowledge", json!({ "alarm": alarm })).await?;
    Ok(Redirect::to(local(fields.text("next"))).into_response())
}

/// The events of a kind that are no older than `lasts`, newest first. A page is shown without them rather than not at all.
async fn since(request: &SignedInRequest, kind: &str, now: Micros, lasts: Duration, pages: usize) -> Vec<AdministrationRecord> {
    let (activity, mut found, mut cursor) = (&request.http.gateway.control().ports.activity, Vec::new(), None);
    for _ in 0..pages {
        let (visibility, kind) = (request.visibility(), Some(kind.to_owned()));
        let query = AdministrationQuery { visibility, kind, limit: PAGE, cursor, ..AdministrationQuery::default() };
        let Ok(page) = activity.administration(query).await else { break };
        let is_young = |record: &AdministrationRecord| now.since(record.at) < lasts;
        let goes_on = page.items.last().is_some_and(is_young);
        found.extend(page.items.into_iter().take_while(is_young));
        cursor = page.next_cursor.filter(|_| goes_on);
        if cursor.is_none() {
            break;
        }
    }
    found
}

/// Who has acknowledged which alarm, by its position.
async fn acknowledged(request: &SignedInRequest, now: Micros) -> BTreeMap<Position, Vec<String>> {
    let reader = &request.http.gateway.control().ports.reader;
    let mut found: BTreeMap<Position, Vec<String>> = BTreeMap::new();
    for record in since(request, "alarm_acknowledged", now, ALARM, PAGES).await.into_iter().rev() {
        let event = reader.event(record.position).await.ok().flatten();
        if let Some(EventKind::AlarmAcknowledged { alarm, .. }) = event.map(|event| event.kind) {
            let (name, named) = (person(request, record.user).await, found.entry(alarm).or_default());
            if !named.contains(&name) {
                named.push(name);
            }
        }
    }
    found
}

/// What was done on the data itself: only the command line says who sat before it.
fn deed(record: &AdministrationRecord, now: Micros) -> Option<Notice> {
    let deed = match record.kind.as_str() {
        "switch_engaged" => "engaged",
        "switch_released" => "released",
        _ => "made to let go",
    };
    notice(record, format!("Break glass: a switch was {deed} {}.", operator(&record.note)?), now)
}

fn notice(record: &AdministrationRecord, text: String, now: Micros) -> Option<Notice> {
    let switch = record.subject.as_ref()?;
    Some(Notice { text, at: DisplayTime::of(record.at, now), href: format!("/console/switches/{switch}") })
}
