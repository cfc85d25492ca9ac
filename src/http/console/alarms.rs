//! What the staff are told on every page for a while: a switch that was engaged or released on the data itself, past the
//! second person and past every role, and a switch that has ended by itself.
//!
//! INVARIANT: an alarm is control state (`core/alarm.rs`), so whoever acted cannot keep it from being shown, and nobody who acts
//! later. Acknowledging one names who did, and takes it away from nobody before its day is over.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use super::address::local;
use super::form::Posted;
use super::format::DisplayTime;
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::target_words::stops;
use super::told;
use super::who::{command_line, emails};
use crate::core::alarm::{self as core, Deed};
use crate::core::id::UserId;
use crate::core::scope::Scope;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::tools::{AdministrationQuery, AdministrationRecord};

/// How long an end by itself is shown.
const ENDED: Duration = Duration::from_hours(1);

/// Ends by themselves that are shown.
const MAX_ENDED: u32 = 5;

/// Alarms that are shown; how many there are is said.
const MAX_SHOWN: usize = 20;

/// What the staff are told.
#[derive(Default)]
pub struct Notices {
    /// What passed over the rules that hold for everybody else, newest first.
    pub alarms: Vec<Alarm>,
    /// How many there are, shown or not.
    pub count: usize,
    /// How many of them nobody has acknowledged.
    pub open: usize,
    /// Whoever looks may acknowledge an alarm.
    pub may_acknowledge: bool,
    /// Switches that have ended by themselves, newest first.
    pub ended: Vec<Notice>,
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
pub async fn notices(request: &SignedInRequest, state: &ControlState, now: Micros) -> Notices {
    let alarms: Vec<&core::Alarm> = state.alarms.lasting(now).take(MAX_SHOWN).collect();
    let people = alarms.iter().flat_map(|alarm| alarm.acknowledged.iter().cloned()).collect();
    // Whoever cannot be named is shown by id.
    let emails = emails(request, &people).await.unwrap_or_default();
    Notices {
        alarms: alarms.into_iter().map(|alarm| shown(alarm, &emails, state, now)).collect(),
        count: state.alarms.lasting(now).count(),
        open: state.alarms.lasting(now).filter(|alarm| alarm.acknowledged.is_empty()).count(),
        may_acknowledge: request.may(Scope::StaffSwitch),
        ended: ended(request, now).await,
    }
}

fn shown(alarm: &core::Alarm, emails: &BTreeMap<String, String>, state: &ControlState, now: Micros) -> Alarm {
    let deed = match alarm.deed {
        Deed::Engaged => "engaged",
        Deed::Released => "released",
        Deed::Ramped => "made to let go",
    };
    let which = state.switches.get(&alarm.switch).map(|row| format!(" ({})", stops(&row.target, state))).unwrap_or_default();
    let from = alarm.operator.as_ref().map_or_else(|| "from the command line".into(), |(user, host)| command_line(user, host));
    let text = format!("Break glass: a switch was {deed} {from}.{which}");
    let named = |user: &UserId| emails.get(user.as_str()).cloned().unwrap_or_else(|| user.to_string());
    let acknowledged = alarm.acknowledged.iter().map(named).collect();
    let notice = Notice { text, at: DisplayTime::of(alarm.at, now), href: format!("/console/switches/{}", alarm.switch) };
    Alarm { notice, position: alarm.position.0.to_string(), acknowledged }
}

/// Switches that have ended by themselves lately. A page is shown without them rather than not at all.
async fn ended(request: &SignedInRequest, now: Micros) -> Vec<Notice> {
    let (visibility, kind) = (request.visibility(), Some("switch_expired".to_owned()));
    let query = AdministrationQuery { visibility, kind, limit: MAX_ENDED, ..AdministrationQuery::default() };
    let found = request.http.gateway.control().ports.activity.administration(query).await.map(|page| page.items);
    let young = found.unwrap_or_default().into_iter().filter(|record| now.since(record.at) < ENDED);
    let notice = |record: AdministrationRecord| {
        Some(Notice {
            text: "A switch has ended by itself.".to_owned(),
            at: DisplayTime::of(record.at, now),
            href: format!("/console/switches/{}", record.subject?),
        })
    };
    young.filter_map(notice).collect()
}

/// Acknowledges an alarm, by the tool.
pub async fn acknowledge(Path(alarm): Path<i64>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    request.done("alarm_acknowledge", json!({ "alarm": alarm })).await?;
    Ok(told::after(&request, local(fields.text("next")), "Alarm acknowledged."))
}
