//! `/console/switches/{id}`: one switch: what it has let through, what still runs, which nodes obey it, and its release.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, in_force, page, stops};
use super::nodes::{Nodes, nodes};
use super::past::engagement;
use super::reach;
use super::shown::{When, visible};
use super::switches::may_read;
use super::visit::Visit;
use super::who::person;
use crate::core::code::Code;
use crate::core::id::{CallId, SwitchId};
use crate::core::job::Job;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::switch::Switch;
use crate::tools::AdministrationQuery;

const HERE: &str = "/console/switches";
const EVENTS: u32 = 50;

/// Calls that are being cancelled at a time.
const AT_ONCE: usize = 16;

#[derive(Template)]
#[template(path = "switch.html")]
struct One {
    frame: Frame,
    id: String,
    stops: String,
    target: String,
    is_global: bool,
    live: Option<Live>,
    requested_by: Option<String>,
    ramp: Option<When>,
    may_release: bool,
    history: Vec<Moment>,
}

/// What changes from second to second.
#[derive(Template)]
#[template(path = "switch/live.html")]
struct Live {
    id: String,
    admitted: u64,
    since: String,
    back: Option<u8>,
    waiting: usize,
    running: Vec<Open>,
    nodes: Nodes,
    form_token: Option<String>,
}

/// Rendered with everything escaped, so a page takes it as it is.
impl askama::filters::HtmlSafe for Live {}

impl Live {
    /// Nothing was let through.
    fn is_clean(&self) -> bool {
        self.admitted == 0
    }
}

/// A call that still runs.
struct Open {
    call: String,
    tool: String,
    vm: Option<String>,
    is_settled: bool,
}

/// Something that happened to the switch.
struct Moment {
    at: When,
    what: &'static str,
    by: String,
    why: String,
}

/// The page.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    may_read(&visit)?;
    let id: SwitchId = id.parse().map_err(|_| Fault::NotFound)?;
    let door = &visit.http.door;
    door.check_reader(&visit.principal, &format!("switches/{id}"), None, json!({ "switch": id })).await?;
    let history = history(&visit, &id).await?;
    let switch = in_force_now(&visit, id.as_str());
    let target = match &switch {
        Some(switch) => switch.target.clone(),
        None => engaged_target(&visit, &id).await?,
    };
    let (state, now) = (door.state(), door.control().ports.clock.now());
    let requested_by = switch.as_ref().and_then(|switch| state.wish_to_release(switch, now).cloned());
    let live = match &switch {
        Some(switch) => Some(look(&visit, switch).await?),
        None => None,
    };
    Ok(page(&One {
        frame: Frame::of("Switch", HERE, &visit).await,
        id: id.to_string(),
        stops: stops(&target, &state),
        target: target.to_string(),
        is_global: target.is_global(),
        ramp: switch.as_ref().and_then(|switch| switch.ramp).map(|ramp| When::of(ramp.until, now)),
        live,
        requested_by: match requested_by {
            Some(user) => Some(person(&visit, Some(user.to_string())).await),
            None => None,
        },
        may_release: visit.may(Scope::StaffSwitch),
        history,
    }))
}

/// The part that is asked for every second.
pub async fn live(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    may_read(&visit)?;
    let switch = in_force_now(&visit, &id).ok_or(Fault::NotFound)?;
    Ok(page(&look(&visit, &switch).await?))
}

/// Releases it, or asks for the second person; what stops everybody is named by who releases it.
pub async fn release(Path(id): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    may_read(&visit)?;
    let switch = in_force_now(&visit, &id).ok_or(Fault::NotFound)?;
    if switch.target.is_global() && fields.text("typed") != switch.target.to_string() {
        return Err(Fault::Unreadable("What was typed is not what the switch stops, so it was not released."));
    }
    let mut args = json!({ "id": id, "reason": fields.text("reason") });
    if let Some(minutes) = fields.number("ramp", 0..=u64::MAX, "The minutes cannot be read.")? {
        args["ramp_minutes"] = json!(minutes);
    }
    match visit.done("switch_release", args).await {
        // Noted: the page says that a second person has to.
        Ok(_) | Err(Refusal { code: Code::SecondPersonRequired, .. }) => Ok(back(&id)),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Stops everybody again while the switch lets go: the same is stopped once more.
pub async fn stop_again(Path(id): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    may_read(&visit)?;
    let switch = in_force_now(&visit, &id).ok_or(Fault::NotFound)?;
    let mut args = json!({ "target": switch.target, "reason": fields.text("reason"), "running": switch.running });
    for (name, text) in [("message", switch.message), ("incident", switch.incident)] {
        if let Some(text) = text {
            args[name] = json!(text);
        }
    }
    let engaged = visit.done("switch_engage", args).await?;
    Ok(back(engaged["id"].as_str().unwrap_or(&id)))
}

/// Cancels one call that still runs, by the tool; one that has ended meanwhile needs no more.
pub async fn cancel(Path((id, call)): Path<(String, String)>, Posted { visit, .. }: Posted) -> Result<Response, Fault> {
    may_read(&visit)?;
    end(&visit, &call).await?;
    Ok(back(&id))
}

/// Cancels everything that still runs under the switch, each by a call of its own.
pub async fn cancel_all(Path(id): Path<String>, Posted { visit, .. }: Posted) -> Result<Response, Fault> {
    may_read(&visit)?;
    let switch = in_force_now(&visit, &id).ok_or(Fault::NotFound)?;
    let now = visit.http.door.control().ports.clock.now();
    let under_way = reach::under_way(&visit.http.door, |call, state| switch.covers(call, state, now)).await?;
    let open: Vec<CallId> = under_way.running.into_iter().filter(|job| !is_settled(job)).map(|job| job.call).collect();
    let ends = open.into_iter().map(async |call: CallId| end(&visit, call.as_str()).await);
    futures::stream::iter(ends).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(back(&id))
}

async fn end(visit: &Visit, call: &str) -> Result<(), Fault> {
    match visit.done("call_cancel", json!({ "id": call })).await {
        Ok(_) | Err(Refusal { code: Code::NotFound, .. }) => Ok(()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Its end was asked for already, or is another call's.
fn is_settled(job: &Job) -> bool {
    job.cancel_asked || job.joins.is_some()
}

fn back(id: &str) -> Response {
    Redirect::to(&format!("{HERE}/{id}")).into_response()
}

fn in_force_now(visit: &Visit, id: &str) -> Option<Switch> {
    let (state, now) = (visit.http.door.state(), visit.http.door.control().ports.clock.now());
    in_force(&state, now).find(|switch| switch.id.as_str() == id).cloned()
}

async fn look(visit: &Visit, switch: &Switch) -> Result<Live, Fault> {
    let (state, now) = (visit.http.door.state(), visit.http.door.control().ports.clock.now());
    let under_way = reach::under_way(&visit.http.door, |call, state| switch.covers(call, state, now)).await?;
    let label = |job: &Job| job.resources.iter().find_map(|id| state.resource(id)).map(|row| visible(&row.label));
    let running = under_way.running.iter().map(|job| Open {
        call: job.call.to_string(),
        tool: job.tool.clone(),
        vm: label(job),
        is_settled: is_settled(job),
    });
    let iso = When::of(switch.engaged_at, switch.engaged_at).iso;
    let token = visit.may(Scope::StaffSwitch).then(|| visit.visitor.token.form_token());
    Ok(Live {
        id: switch.id.to_string(),
        admitted: reach::admitted_since(&visit.http.door, &switch.target, switch.engaged_at, switch.ramp.map(|ramp| ramp.since))
            .await?,
        since: iso.get(11..23).unwrap_or(&iso).to_owned(),
        back: switch.ramp.map(|ramp| ramp.percent(now)),
        waiting: under_way.waiting,
        running: running.collect(),
        nodes: nodes(visit).await?,
        form_token: token,
    })
}

async fn history(visit: &Visit, id: &SwitchId) -> Result<Vec<Moment>, Fault> {
    let query = AdministrationQuery {
        sight: visit.sight(),
        subject: Some(id.to_string()),
        limit: EVENTS,
        ..AdministrationQuery::default()
    };
    let ports = &visit.http.door.control().ports;
    let (found, now) = (ports.activity.administration(query).await?, ports.clock.now());
    let mut moments = Vec::new();
    for record in found.items.iter().rev() {
        let what = match record.kind.as_str() {
            "switch_engaged" => "Engaged",
            "release_requested" => "Release asked for",
            "release_ramped" => "Release begun, step by step",
            "switch_released" => "Released",
            "switch_expired" => "Ended by itself",
            _ => continue,
        };
        let by = if record.kind == "switch_expired" { String::new() } else { person(visit, record.user.clone()).await };
        let why = visible(record.note.get("reason").and_then(Value::as_str).unwrap_or_default());
        moments.push(Moment { at: When::of(record.at, now), what, by, why });
    }
    Ok(moments)
}

/// What a switch that is no longer in force has stopped.
async fn engaged_target(visit: &Visit, id: &SwitchId) -> Result<crate::core::switch::Target, Fault> {
    let kind = Some("switch_engaged".to_owned());
    let query = AdministrationQuery {
        sight: visit.sight(),
        kind,
        subject: Some(id.to_string()),
        limit: 1,
        ..AdministrationQuery::default()
    };
    let found = visit.http.door.control().ports.activity.administration(query).await?;
    let position = found.items.first().ok_or(Fault::NotFound)?.position;
    engagement(visit, position).await.map(|(target, _)| target).ok_or(Fault::NotFound)
}
