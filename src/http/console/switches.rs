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
use super::drill::{self, Drilled};
use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, in_force, page, stops};
use super::nodes::{Nodes, nodes};
use super::past::{self, Past};
use super::reach;
use super::shown::{When, visible};
use super::visit::Visit;
use super::who::person;
use crate::core::engagement::check_target;
use crate::core::scope::Scope;
use crate::core::state::ControlState;
use crate::core::switch::{Switch, Target};
use crate::core::time::Micros;

const HERE: &str = "/console/switches";

#[derive(Template)]
#[template(path = "switches.html")]
struct Switches {
    frame: Frame,
    may_engage: bool,
    in_force: Vec<Row>,
    nodes: Nodes,
    drill: Option<Drilled>,
    history: Vec<Past>,
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
    since: When,
    until: Option<When>,
}

#[derive(Template)]
#[template(path = "switches/new.html")]
struct New {
    frame: Frame,
    target: String,
    deed: String,
    per_minute: String,
    customers: usize,
    vms: usize,
    waiting: usize,
    running: usize,
    is_global: bool,
}

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
    fn target(&self) -> Result<Target, Fault> {
        let name = self.name.trim();
        let text = match self.kind.as_str() {
            "" => self.target.clone(),
            "exec" => format!("vm:{name}/exec"),
            kind => format!("{kind}:{name}"),
        };
        text.parse()
            .map_err(|_| Fault::Unreadable("There is no such thing to stop. Give the id, or the name of a tool or provider."))
    }
}

/// The list.
pub async fn show(visit: Visit, Query(older): Query<Older>) -> Result<Response, Fault> {
    may_read(&visit)?;
    let door = &visit.http.door;
    door.check_reader(&visit.principal, "switches", None, json!({ "page": "switches" })).await?;
    let (state, now) = (door.state(), door.control().ports.clock.now());
    let mut rows = Vec::new();
    for switch in in_force(&state, now) {
        rows.push(row(&visit, switch, &state, now).await);
    }
    let (history, older) = past::page_of(&visit, older.cursor, now).await?;
    Ok(page(&Switches {
        frame: Frame::of("Switches", HERE, &visit).await,
        may_engage: visit.may(Scope::StaffSwitch),
        in_force: rows,
        nodes: nodes(&visit).await?,
        drill: drill::last(&visit, now).await?,
        history,
        older: older.map(|cursor| format!("{HERE}?cursor={}#before", encoded(&cursor))),
    }))
}

/// The page before the button: what it would stop.
pub async fn preview(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    may_read(&visit)?;
    let target = wanted.target()?;
    let state = visit.http.door.state();
    check_target(&target, &state, &visit.http.door.control().ports.names()).map_err(Fault::Refused)?;
    let under_way = reach::under_way(&visit.http.door, |call, state| target.covers(call, state)).await?;
    let (customers, vms) = reach::touched(&target, &state);
    Ok(page(&New {
        frame: Frame::of("Stop", HERE, &visit).await,
        deed: deed(&stops(&target, &state)),
        per_minute: reach::per_minute(&visit.http.door, &target).await?,
        customers,
        vms,
        waiting: under_way.waiting,
        running: under_way.running.len(),
        is_global: target.is_global(),
        target: target.to_string(),
    }))
}

/// What the button does: `Stop every call` of `Every call is stopped`.
fn deed(stops: &str) -> String {
    let what = stops.trim_end_matches(" is stopped").trim_end_matches(" are stopped");
    let (first, rest) = what.split_at_checked(1).unwrap_or(("", what));
    format!("Stop {}{rest}", first.to_lowercase())
}

/// Engages, and shows what comes of it.
pub async fn engage(Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let now = visit.http.door.control().ports.clock.now();
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
    let engaged = visit.done("switch_engage", without_nulls(args)).await.map_err(Fault::Refused)?;
    Ok(Redirect::to(&format!("{HERE}/{}", engaged["id"].as_str().unwrap_or_default())).into_response())
}

fn without_nulls(args: Value) -> Value {
    match args {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        other => other,
    }
}

/// Switches are the staff's.
pub fn may_read(visit: &Visit) -> Result<(), Fault> {
    if visit.is_staff() && visit.may(Scope::StaffAudit) { Ok(()) } else { Err(Fault::NotFound) }
}

async fn row(visit: &Visit, switch: &Switch, state: &ControlState, now: Micros) -> Row {
    Row {
        id: switch.id.to_string(),
        stops: stops(&switch.target, state),
        target: switch.target.to_string(),
        reason: visible(&switch.reason),
        by: person(visit, switch.by.as_ref().map(ToString::to_string)).await,
        since: When::of(switch.engaged_at, now),
        until: switch.ends_at().map(|end| When::of(end, now)),
    }
}
