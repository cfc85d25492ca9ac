//! `/console/switches/{id}`: one switch: what it has let through, what still runs, which nodes obey it, and its release.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::{Value, json};

use super::form::Posted;
use super::form_state::{Argument, FormState};
use super::format::{DisplayTime, escape_hidden};
use super::frame::{Frame, page};
use super::nodes::{Nodes, nodes};
use super::page_error::PageError;
use super::request::{NotDone, SignedInRequest};
use super::switches::may_read;
use super::target_words::{stopped, stops};
use super::told;
use super::who::{actor, person};
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::id::{CallId, SwitchId};
use crate::core::job::Job;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::switch::{Switch, Target};
use crate::http::impact;
use crate::tools::AdministrationQuery;

const HERE: &str = "/console/switches";
const EVENTS: u32 = 50;

/// Calls that are being cancelled at a time.
const MAX_CONCURRENT: usize = 16;

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
    ramp: Option<DisplayTime>,
    may_release: bool,
    /// Why whoever looks does not confirm the release, and who does.
    why_not: Option<&'static str>,
    draft: FormState,
    history: Vec<Moment>,
}

/// What the arguments of `switch_release` come from.
const TAKES: &str = "Give a reason of 1 to 500 characters.";
const ARGUMENTS: [Argument; 1] = [Argument { name: "reason", field: "reason", takes: TAKES }];
/// Those of the form that stops once more: two forms of a page have no field of one name.
const AGAIN: [Argument; 1] = [Argument { name: "reason", field: "again", takes: TAKES }];

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
    at: DisplayTime,
    what: &'static str,
    by: String,
    why: String,
}

/// The page.
pub async fn show(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    may_read(&request)?;
    one(&request, id.parse().map_err(|_| PageError::NotFound)?, FormState::default()).await
}

async fn one(request: &SignedInRequest, id: SwitchId, draft: FormState) -> Result<Response, PageError> {
    let gateway = &request.http.gateway;
    let switch = in_force_now(request, id.as_str());
    let target = match &switch {
        Some(switch) => switch.target.clone(),
        None => engaged_target(request, &id).await?,
    };
    let (state, now) = (gateway.state(), gateway.control().ports.clock.now());
    // What it stops says whose it is, and nobody else is told its id.
    request.check_reader(Reading::Switch(id.clone()), target.owner(&state), json!({ "switch": id })).await?;
    let history = history(request, &id).await?;
    let requested_by = switch.as_ref().and_then(|switch| state.wish_to_release(switch, now).cloned());
    let live = match &switch {
        Some(switch) => Some(live_part(request, switch).await?),
        None => None,
    };
    let own_wish = requested_by.as_ref().is_some_and(|user| *user == request.principal.user);
    let status = draft.status();
    let shown = page(&One {
        frame: Frame::of("Switch", HERE, request).await,
        id: id.to_string(),
        stops: if switch.is_some() { stops(&target, &state) } else { stopped(&target, &state) },
        target: target.to_string(),
        is_global: target.is_global(),
        ramp: switch.as_ref().and_then(|switch| switch.ramp).map(|ramp| DisplayTime::of(ramp.until, now)),
        live,
        requested_by: match requested_by {
            Some(user) => Some(person(request, Some(user.to_string())).await),
            None => None,
        },
        why_not: match (request.may(Scope::StaffSwitch), own_wish) {
            (false, _) => Some("Your role does not release switches. A responder or an admin can."),
            (true, true) => Some("Your release request is recorded. Someone other than you has to confirm it."),
            (true, false) => None,
        },
        may_release: request.may(Scope::StaffSwitch) && !own_wish,
        draft,
        history,
    });
    Ok((status, shown).into_response())
}

/// The part that is asked for every second.
pub async fn live(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    may_read(&request)?;
    let switch = in_force_now(&request, &id).ok_or(PageError::NotFound)?;
    Ok(page(&live_part(&request, &switch).await?))
}

/// Releases it, or asks for the second person; what stops everybody is named by who releases it.
pub async fn release(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    may_read(&request)?;
    let switch = in_force_now(&request, &id).ok_or(PageError::NotFound)?;
    if switch.target.is_global() && !fields.text("typed").eq_ignore_ascii_case(&switch.target.to_string()) {
        let fault = PageError::Unreadable("The text does not match, so the switch was not released.");
        return one(&request, switch.id, FormState::of(fields, fault, "typed", &ARGUMENTS)?).await;
    }
    let mut args = json!({ "id": id, "reason": fields.text("reason") });
    if let Some(minutes) = fields.number("ramp", 0..=u64::MAX, "The minutes cannot be read.")? {
        args["ramp_minutes"] = json!(minutes);
    }
    match request.done("switch_release", args).await {
        Ok(answered) if answered["released"] == false && answered["until"].is_null() => Ok(back(&request, &id, REQUESTED)),
        Ok(answered) if answered["until"].is_null() => Ok(back(&request, &id, "Switch released. Calls are admitted again.")),
        Ok(_) => Ok(back(&request, &id, "Release begun. Keys are admitted again one after the other.")),
        Err(fault) => one(&request, switch.id, FormState::of(fields, fault.into(), "reason", &ARGUMENTS)?).await,
    }
}

/// Stops everybody again while the switch lets go: the same is stopped once more.
pub async fn stop_again(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    may_read(&request)?;
    let switch = in_force_now(&request, &id).ok_or(PageError::NotFound)?;
    let mut args = json!({ "target": switch.target, "reason": fields.text("again"), "running": switch.running });
    for (name, text) in [("message", &switch.message), ("incident", &switch.incident)] {
        if let Some(text) = text {
            args[name] = json!(text);
        }
    }
    let engaged = match request.done("switch_engage", args).await {
        Ok(engaged) => engaged,
        Err(fault) => return one(&request, switch.id, FormState::of(fields, fault.into(), "again", &AGAIN)?).await,
    };
    Ok(back(&request, engaged["id"].as_str().unwrap_or(&id), "Switch engaged. All keys are stopped again."))
}

/// Cancels one call that still runs, by the tool; one that has ended meanwhile needs no more.
pub async fn cancel(Path((id, call)): Path<(String, String)>, Posted { request, .. }: Posted) -> Result<Response, PageError> {
    may_read(&request)?;
    end(&request, &call).await?;
    Ok(back(&request, &id, "Cancellation requested."))
}

/// Cancels everything that still runs under the switch, each by a call of its own.
pub async fn cancel_all(Path(id): Path<String>, Posted { request, .. }: Posted) -> Result<Response, PageError> {
    may_read(&request)?;
    let switch = in_force_now(&request, &id).ok_or(PageError::NotFound)?;
    let now = request.http.gateway.control().ports.clock.now();
    let under_way = impact::under_way(&request.http.gateway, |call, state| switch.covers(call, state, now)).await?;
    let open: Vec<CallId> = under_way.running.into_iter().filter(|job| !is_settled(job)).map(|job| job.call).collect();
    let ends = open.into_iter().map(async |call: CallId| end(&request, call.as_str()).await);
    // One that cannot be cancelled keeps nobody from asking for the others.
    let asked: Vec<_> = futures::stream::iter(ends).buffer_unordered(MAX_CONCURRENT).collect().await;
    asked.into_iter().collect::<Result<Vec<()>, PageError>>()?;
    Ok(back(&request, &id, "Cancellation of all running calls requested."))
}

async fn end(request: &SignedInRequest, call: &str) -> Result<(), PageError> {
    match request.done("call_cancel", json!({ "id": call })).await {
        Ok(_) | Err(NotDone::Refused(Refusal { code: Code::NotFound, .. })) => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

/// Its end was asked for already, or is another call's.
fn is_settled(job: &Job) -> bool {
    job.cancel_asked || job.joins.is_some()
}

fn back(request: &SignedInRequest, id: &str, text: &str) -> Response {
    told::after(request, &format!("{HERE}/{id}"), text)
}

const REQUESTED: &str = "Request recorded. Someone other than you has to confirm the release.";

fn in_force_now(request: &SignedInRequest, id: &str) -> Option<Switch> {
    let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
    state.switches_in_force(now).find(|switch| switch.id.as_str() == id).cloned()
}

async fn live_part(request: &SignedInRequest, switch: &Switch) -> Result<Live, PageError> {
    let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
    let under_way = impact::under_way(&request.http.gateway, |call, state| switch.covers(call, state, now)).await?;
    let label = |job: &Job| job.resources.iter().find_map(|id| state.resource(id)).map(|row| escape_hidden(&row.label));
    let running = under_way.running.iter().map(|job| Open {
        call: job.call.to_string(),
        tool: job.tool.clone(),
        vm: label(job),
        is_settled: is_settled(job),
    });
    let iso = DisplayTime::of(switch.engaged_at, switch.engaged_at).iso;
    let token = request.may(Scope::StaffSwitch).then(|| request.signed_in.token.form_token());
    Ok(Live {
        id: switch.id.to_string(),
        admitted: impact::admitted_since(
            &request.http.gateway,
            &switch.target,
            switch.engaged_at,
            switch.ramp.map(|ramp| ramp.since),
        )
        .await?,
        since: iso.get(11..23).unwrap_or(&iso).to_owned(),
        back: switch.ramp.map(|ramp| ramp.percent(now)),
        waiting: under_way.waiting,
        running: running.collect(),
        nodes: nodes(request).await?,
        form_token: token,
    })
}

async fn history(request: &SignedInRequest, id: &SwitchId) -> Result<Vec<Moment>, PageError> {
    let query = AdministrationQuery {
        visibility: request.visibility(),
        subject: Some(id.to_string()),
        limit: EVENTS,
        ..AdministrationQuery::default()
    };
    let ports = &request.http.gateway.control().ports;
    let (found, now) = (ports.activity.administration(query).await?, ports.clock.now());
    let mut moments = Vec::new();
    for record in found.items.iter().rev() {
        let what = match record.kind.as_str() {
            "switch_engaged" => "Engaged",
            "release_requested" => "Release requested",
            "release_ramped" => "Release begun, key by key",
            "switch_released" => "Released",
            "switch_expired" => "Ended by itself",
            _ => continue,
        };
        let by = if record.kind == "switch_expired" { String::new() } else { actor(request, record).await };
        let why = escape_hidden(record.note.get("reason").and_then(Value::as_str).unwrap_or_default());
        moments.push(Moment { at: DisplayTime::of(record.at, now), what, by, why });
    }
    Ok(moments)
}

/// What a switch that is no longer in force has stopped.
async fn engaged_target(request: &SignedInRequest, id: &SwitchId) -> Result<Target, PageError> {
    let kind = Some("switch_engaged".to_owned());
    let query = AdministrationQuery {
        visibility: request.visibility(),
        kind,
        subject: Some(id.to_string()),
        limit: 1,
        ..AdministrationQuery::default()
    };
    let found = request.http.gateway.control().ports.activity.administration(query).await?;
    let engaged = found.items.into_iter().next().map(|record| record.event);
    if let Some(EventKind::SwitchEngaged { target, .. }) = engaged { Ok(target) } else { Err(PageError::NotFound) }
}
