//! What the staff are told on every page for a while: a switch that was engaged or released on the data itself, past the
//! second person and past every role, and a switch that has ended by itself.
//!
//! INVARIANT: it is read from the log's views, so whoever acted cannot keep it from being shown.

use std::time::Duration;

use super::format::{DisplayTime, escape_hidden};
use super::request::SignedInRequest;
use crate::core::time::Micros;
use crate::tools::{AdministrationQuery, AdministrationRecord};

/// How long the use of the command line on the data is shown.
const ALARM: Duration = Duration::from_hours(24);

/// How long an end by itself is shown.
const ENDED: Duration = Duration::from_hours(1);

/// Events of a kind that are looked at.
const LOOKED_AT: u32 = 5;

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
    for (kind, lasts) in
        [("switch_engaged", ALARM), ("switch_released", ALARM), ("release_ramped", ALARM), ("switch_expired", ENDED)]
    {
        let query = AdministrationQuery {
            visibility: request.visibility(),
            kind: Some(kind.to_owned()),
            limit: LOOKED_AT,
            ..AdministrationQuery::default()
        };
        // A page is shown without them rather than not at all.
        let Ok(found) = request.http.gateway.control().ports.activity.administration(query).await else { continue };
        let young = found.items.iter().filter(|record| now.since(record.at) < lasts);
        told.extend(young.filter_map(|record| Some((record.at, notice(record, now)?))));
    }
    told.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
    told.into_iter().map(|(_, notice)| notice).collect()
}

fn notice(record: &AdministrationRecord, now: Micros) -> Option<Notice> {
    // Only the command line on the data says who sat before it.
    let who = |field: &str| escape_hidden(record.note["operator"][field].as_str().unwrap_or("unknown"));
    let operator = record.note["operator"].is_object().then(|| format!("{} on {}", who("user"), who("host")));
    let by = |operator: Option<String>, deed: &str| {
        Some(format!("Break glass: a switch was {deed} on the data itself by {}.", operator?))
    };
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
