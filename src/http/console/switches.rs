//! `/console/switches`: what is stopped, stopping something, and what was stopped before.
//!
//! INVARIANT: engaging takes one person, one page and a reason, and no script. What it would reach is shown first.

use std::time::Duration;

use askama::Template;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::encoded;
use super::drill::{self, LastDrill};
use super::ended_switches::{self, EndedSwitch};
use super::engaged::widest_first;
use super::form::Posted;
use super::form_state::{Argument, FormState};
use super::format::{DisplayTime, escape_hidden};
use super::frame::{Frame, page};
use super::nodes::{Nodes, nodes};
use super::page_error::PageError;
use super::request::{NotDone, SignedInRequest};
use super::target_words::stops;
use super::told;
use super::who::{account_name, engager};
use crate::core::code::Code;
use crate::core::engagement::check_target;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::state::ControlState;
use crate::core::switch::{Switch, Target, UnknownTarget};
use crate::core::time::Micros;
use crate::http::impact;

const HERE: &str = "/console/switches";

/// Switches in force that are listed.
const MAX_LISTED: usize = 200;

#[derive(Template)]
#[template(path = "switches.html")]
struct Switches {
    frame: Frame,
    may_engage: bool,
    in_force: Vec<Row>,
    /// How many more there are.
    more: usize,
    nodes: Nodes,
    drill: Option<LastDrill>,
    history: Vec<EndedSwitch>,
    older: Option<String>,
}

/// Where the history goes on.
#[derive(Deserialize)]
pub struct Older {
    cursor: Option<String>,
}

/// A switch in a list.
struct Row {
    id: String,
    stops: String,
    target: String,
    reason: String,
    by: String,
    since: DisplayTime,
    until: Option<DisplayTime>,
}

#[derive(Template)]
#[template(path = "switches/new.html")]
struct New {
    frame: Frame,
    target: String,
    /// The account that it is of: its id, and its name.
    whose: Option<(String, String)>,
    deed: String,
    per_minute: String,
    customers: usize,
    vms: usize,
    waiting: usize,
    running: usize,
    is_global: bool,
    draft: FormState,
}

/// What the arguments of `switch_engage` come from.
const ARGUMENTS: [Argument; 3] = [
    Argument { name: "reason", field: "reason", takes: "Give a reason of 1 to 500 characters." },
    Argument { name: "message", field: "message", takes: "The message may have at most 500 characters." },
    Argument { name: "incident", field: "incident", takes: "The incident may have at most 100 characters." },
];

/// A target as the form names it: in one text, or as its kind and the name of one of that kind.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    target: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
}

impl Wanted {
    fn target(&self) -> Result<Target, PageError> {
        let name = self.name.trim();
        let text = match self.kind.as_str() {
            "" => self.target.clone(),
            "exec" => format!("vm:{name}/exec"),
            kind => format!("{kind}:{name}"),
        };
        let unreadable = |error: UnknownTarget| Refusal::new(Code::ValidationFailed, error.to_string());
        text.parse().map_err(|error| PageError::Refused(unreadable(error)))
    }
}

/// The list.
pub async fn show(request: SignedInRequest, Query(older): Query<Older>) -> Result<Response, PageError> {
    may_read(&request)?;
    let gateway = &request.http.gateway;
    gateway.check_reader(&request.principal, Reading::Switches, None, json!({ "page": "switches" })).await?;
    let (state, now) = (gateway.state(), gateway.control().ports.clock.now());
    let mut rows = Vec::new();
    let standing = widest_first(state.switches_in_force(now));
    let more = standing.len().saturating_sub(MAX_LISTED);
    for switch in standing.into_iter().take(MAX_LISTED) {
        rows.push(row(&request, switch, &state, now).await);
    }
    let (history, older) = ended_switches::page_of(&request, older.cursor, now).await?;
    Ok(page(&Switches {
        frame: Frame::of("Switches", HERE, &request).await,
        may_engage: request.may(Scope::StaffSwitch),
        in_force: rows,
        more,
        nodes: nodes(&request).await?,
        drill: drill::last(&request, now).await?,
        history,
        older: older.map(|cursor| format!("{HERE}?cursor={}#before", encoded(&cursor))),
    }))
}

/// The page before the button: what it would stop.
pub async fn preview(request: SignedInRequest, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    may_read(&request)?;
    if wanted.target.is_empty() && wanted.kind.is_empty() {
        return Ok(Redirect::to(HERE).into_response());
    }
    before(&request, wanted.target()?, FormState::default()).await
}

async fn before(request: &SignedInRequest, target: Target, draft: FormState) -> Result<Response, PageError> {
    let state = request.http.gateway.state();
    check_target(&target, &state, &request.http.gateway.control().ports.names()).map_err(PageError::Refused)?;
    let asked = json!({ "target": target.to_string() });
    request.check_reader(Reading::Reach, target.owner(&state), asked).await?;
    let under_way = impact::under_way(&request.http.gateway, |call, state| target.covers(call, state)).await?;
    let (customers, vms) = impact::touched(&target, &state);
    let whose = match target.owner(&state) {
        Some(id) => Some((id.to_string(), account_name(request, &id).await)),
        None => None,
    };
    let status = draft.status();
    let shown = page(&New {
        frame: Frame::of("Stop", HERE, request).await,
        whose,
        deed: deed(&stops(&target, &state)),
        per_minute: impact::per_minute(&request.http.gateway, &target).await?,
        customers,
        vms,
        waiting: under_way.waiting,
        running: under_way.running.len(),
        is_global: target.is_global(),
        target: target.to_string(),
        draft,
    });
    Ok((status, shown).into_response())
}

/// What the button does: `Stop every call` of `Every call is stopped`.
fn deed(stops: &str) -> String {
    let what = stops.trim_end_matches(" is stopped").trim_end_matches(" are stopped");
    let (first, rest) = what.split_at_checked(1).unwrap_or(("", what));
    format!("Stop {}{rest}", first.to_lowercase())
}

/// Engages, and shows what comes of it.
pub async fn engage(Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let now = request.http.gateway.control().ports.clock.now();
    let some = |name: &str| Some(fields.text(name)).filter(|text| !text.is_empty());
    let minutes = fields.number("minutes", 0..=u64::MAX, "The minutes cannot be read.")?;
    let lasts = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let running = fields.choice("running", &["let_finish", "cancel"])?;
    let args = json!({
        "target": fields.text("target"),
        "reason": fields.text("reason"),
        "message": some("message"),
        "incident": some("incident"),
        "running": running,
        "expires_at": lasts.map(|lasts| now.plus(lasts).document()),
    });
    // What is not there is said, with what is near: whoever engages may know all of it.
    let as_it_is = |fault| if let NotDone::Refused(refusal) = fault { PageError::Refused(refusal) } else { fault.into() };
    match request.done("switch_engage", without_nulls(args)).await.map_err(as_it_is) {
        Ok(engaged) => {
            let place = format!("{HERE}/{}", engaged["id"].as_str().unwrap_or_default());
            Ok(told::after(&request, &place, "Switch engaged. Calls that it covers are refused from now on."))
        }
        Err(fault) => match fields.text("target").parse::<Target>() {
            Ok(target) => before(&request, target, FormState::of(fields, fault, "", &ARGUMENTS)?).await,
            Err(_) => Err(fault),
        },
    }
}

fn without_nulls(args: Value) -> Value {
    match args {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        other => other,
    }
}

/// Switches are the staff's.
pub fn may_read(request: &SignedInRequest) -> Result<(), PageError> {
    if request.is_staff() && request.may(Scope::StaffAudit) { Ok(()) } else { Err(PageError::NotFound) }
}

async fn row(request: &SignedInRequest, switch: &Switch, state: &ControlState, now: Micros) -> Row {
    Row {
        id: switch.id.to_string(),
        stops: stops(&switch.target, state),
        target: switch.target.to_string(),
        reason: escape_hidden(&switch.reason),
        by: engager(request, switch, state).await,
        since: DisplayTime::of(switch.engaged_at, now),
        until: switch.ends_at().map(|end| DisplayTime::of(end, now)),
    }
}
