//! What the staff are told on every page for a while: a switch that was engaged or released on the data itself, past the
//! second person and past every role, and a switch that has ended by itself.
//!
//! INVARIANT: it is read from the log's views, so whoever acted cannot keep it from being shown.

use std::time::Duration;

use super::format::DisplayTime;
use super::request::SignedInRequest;
use super::who::operator;
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

/// Something that the staff are told.
pub struct Notice {
    /// It passed over the rules that hold for everybody else.
    pub is_alarm: bool,
    /// What happened.
    pub text: String,
    /// When.
    pub at: DisplayTime,
    /// Where more is.
    pub href: String,
}

/// What there is to tell now, newest first.
pub async fn notices(request: &SignedInRequest, now: Micros) -> Vec<Notice> {
    let mut told: Vec<(Micros, Notice)> = Vec::new();
    for (kind, lasts, pages) in [
        ("switch_engaged", ALARM, PAGES),
        ("switch_released", ALARM, PAGES),
        ("release_ramped", ALARM, PAGES),
        ("switch_expired", ENDED, 1),
    ] {
        let young = since(request, kind, now, lasts, pages).await;
        told.extend(young.iter().filter_map(|record| Some((record.at, notice(record, now)?))));
    }
    told.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
    told.into_iter().map(|(_, notice)| notice).collect()
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

fn notice(record: &AdministrationRecord, now: Micros) -> Option<Notice> {
    // Only the command line on the data says who sat before it.
    let operator = operator(&record.note);
    let by = |operator: Option<String>, deed: &str| Some(format!("Break glass: a switch was {deed} {}.", operator?));
    let text = match record.kind.as_str() {
        "switch_engaged" => by(operator, "engaged")?,
        "switch_released" => by(operator, "released")?,
        "release_ramped" => by(operator, "made to let go")?,
        _ => "A switch has ended by itself.".to_owned(),
    };
    let switch = record.subject.clone()?;
    let is_alarm = record.kind != "switch_expired";
    Some(Notice { is_alarm, text, at: DisplayTime::of(record.at, now), href: format!("/console/switches/{switch}") })
}
