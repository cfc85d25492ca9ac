//! `GET /console/calls/{id}`: one call, from its intent to its end, as it is written down.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json as object};

use super::act::{ended, has_failed};
use super::activity::{Pairs, Row, rows};
use super::answer::{Answering, answering, check_said_why, refused, submit};
use super::form::Posted;
use super::form_state::FormState;
use super::format::{Chip, escape_hidden, format_duration, json};
use super::frame::{Frame, page};
use super::integrity::{IntegrityCheck, check};
use super::page_error::PageError;
use super::policy_text::{DecidingPolicies, decided, said};
use super::refused::{Why, why};
use super::request::SignedInRequest;
use super::search::line::Line;
use super::terminal::Terminal;
use super::timeline::{Step, steps};
use super::told;
use super::who::{key_name, person};
use crate::core::call::Status;
use crate::core::event::{Event, EventKind};
use crate::core::id::CallId;
use crate::core::noun::vm::VM;
use crate::core::reading::Reading;
use crate::core::render_times::render_times;
use crate::core::resource::ResourceId;
use crate::core::scope::Scope;
use crate::core::search::Field;
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::tools::{CallRecord, CallTimeline, Durations};

#[derive(Template)]
#[template(path = "call.html")]
struct Call {
    frame: Frame,
    row: Row,
    steps: Vec<Step>,
    arguments: Option<String>,
    result: Option<String>,
    is_over: bool,
    credential: String,
    session: Option<String>,
    ip: Option<String>,
    is_staff: bool,
    durations: Vec<(&'static str, String)>,
    around: Vec<NearbyCalls>,
    integrity: IntegrityCheck,
    raw: String,
    shows_raw: bool,
    deeds: Vec<CallAction>,
    marks: Vec<String>,
    terminal: Option<Terminal>,
    /// How a command stands that has no exit code.
    without_exit: String,
    why: Option<Why>,
    answering: Answering,
    draft: FormState,
    answered: Option<String>,
}

/// What can be done about a call, each on a page that says what it does.
struct CallAction {
    text: String,
    href: String,
}

/// How far around a call it is looked, in microseconds.
const AROUND: i64 = 5 * 60 * 1_000_000;

/// Calls around one, as a search.
struct NearbyCalls {
    text: &'static str,
    href: String,
}

/// A call and its timeline, for somebody who may see it. That staff read it is written down with whose call it is.
async fn found(request: &SignedInRequest, id: &str) -> Result<(CallRecord, CallTimeline), PageError> {
    let id: CallId = id.parse().map_err(|_| PageError::NotFound)?;
    let activity = &request.http.gateway.control().ports.activity;
    let mut whose = None;
    if request.is_staff() {
        let record = activity.call(&Visibility::Everything, &id).await?.ok_or(PageError::NotFound)?;
        // What agents are about to do is shown to staff who have said why they look, as in the inbox.
        if record.status == Status::Held {
            check_said_why(request, &request.path)?;
        }
        whose = Some(record.account);
    }
    request.check_reader(Reading::Call(Some(id.clone())), whose, object!({ "call_id": id })).await?;
    let visibility = request.visibility();
    let record = activity.call(&visibility, &id).await?.ok_or(PageError::NotFound)?;
    let timeline = activity.timeline(&visibility, &id).await?.ok_or(PageError::NotFound)?;
    Ok((record, timeline))
}

/// The page.
pub async fn show(request: SignedInRequest, Path(id): Path<String>, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    let shows_raw = pairs.iter().any(|(name, value)| name == "as" && value == "json");
    shown(&request, &id, shows_raw, FormState::default()).await
}

/// An answer, if it waits for one. What was refused is shown again with why, on the call as it stands.
pub async fn answer(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let call: CallId = id.parse().map_err(|_| PageError::NotFound)?;
    let here = format!("/console/calls/{call}");
    check_said_why(&request, &here)?;
    match submit(&request, &call, &fields).await {
        Ok(done) => Ok(told::after(&request, &format!("{here}#answered"), done)),
        Err(fault) => shown(&request, &id, false, refused(fields, fault)?).await,
    }
}

async fn shown(request: &SignedInRequest, id: &str, shows_raw: bool, draft: FormState) -> Result<Response, PageError> {
    let (record, timeline) = found(request, id).await?;
    let gateway = &request.http.gateway;
    let mut row = rows(std::slice::from_ref(&record), request).await.pop().ok_or(PageError::NotFound)?;
    let part = |value: &Option<Value>| value.as_ref().filter(|value| !value.is_null()).map(json);
    let mut steps = steps(&timeline.events, &gateway.state(), gateway.control().ports.clock.now());
    let mut answered = None;
    for (step, raw) in steps.iter_mut().zip(&timeline.events) {
        let Ok(event) = serde_json::from_value::<Event>(raw.leaf.clone()) else { continue };
        step.decided = decided_by(request, &event).await;
        step.facts.extend(answered_by(request, &event).await);
        answered = said_by(request, &event).await.or(answered);
    }
    let terminal = Terminal::of(&record.tool, &timeline);
    // The page shows how the command ended, also to whom lists do not.
    let bad_end = timeline.result.as_ref().filter(|result| terminal.is_some() && has_failed(result)).and_then(ended);
    if let Some(end) = bad_end.filter(|_| record.status == Status::Succeeded) {
        row.chip = Chip::ran(&end);
    }
    let status = draft.status();
    let shown = page(&Call {
        frame: Frame::of(format!("{} · call", record.tool), "/console/activity", request).await,
        steps,
        integrity: check(request, &timeline.events).await,
        raw: json(&document(&timeline)),
        shows_raw,
        deeds: deeds(request, &record),
        marks: marks(&timeline),
        without_exit: without_exit(record.status, timeline.durations.ran),
        terminal,
        why: why(request, &record, &timeline).await,
        answering: answering(request, &record).await,
        draft,
        answered,
        arguments: part(&timeline.arguments),
        result: part(&timeline.result),
        is_over: record.status.is_terminal(),
        is_staff: request.is_staff(),
        durations: durations(&timeline.durations),
        around: if request.is_staff() { around(&record) } else { Vec::new() },
        credential: record.credential,
        session: record.session,
        ip: record.ip,
        row,
    });
    Ok((status, shown).into_response())
}

/// The same as JSON, leaves included.
pub async fn raw(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    let (_, timeline) = found(&request, &id).await?;
    let headers = [(CONTENT_TYPE, "application/json; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((headers, json(&document(&timeline))).into_response())
}

/// What is known of a call as people read it: the call by itself, then what is known besides.
fn document(timeline: &CallTimeline) -> Value {
    let CallTimeline { call, arguments, result, durations, events } = timeline;
    render_times(object!({ "call": call, "arguments": arguments, "result": result, "durations": durations, "events": events }))
}

/// What was said at an event, to those who may read it.
async fn note(request: &SignedInRequest, event: &Event) -> Option<Value> {
    request.http.gateway.control().ports.reader.part(event, "note", &request.visibility()).await.ok().flatten()
}

/// The policies that decided at an event.
async fn decided_by(request: &SignedInRequest, event: &Event) -> Option<DecidingPolicies> {
    let note = match event.kind {
        EventKind::Held { .. } => note(request, event).await,
        _ => None,
    };
    let (version, ids) = said(&event.kind, note.as_ref())?;
    Some(decided(request, version, &ids).await)
}

/// What this person has answered, if that is what happened.
async fn said_by(request: &SignedInRequest, event: &Event) -> Option<String> {
    let EventKind::ApprovalDecided { by: Some(by), approved, .. } = &event.kind else { return None };
    if *by != request.principal.user {
        return None;
    }
    let is_reasoned = note(request, event).await.unwrap_or_default()["reason"].as_str().is_some_and(|why| !why.is_empty());
    let text = if *approved {
        "You approved this call. Once everybody has who must, it is decided again: a switch, a limit, a policy or the VM may still refuse it."
    } else if is_reasoned {
        "You rejected this call. It did not run, and its caller was told why."
    } else {
        "You rejected this call. It did not run."
    };
    Some(text.to_owned())
}

/// Who answered for the call, and why.
async fn answered_by(request: &SignedInRequest, event: &Event) -> Vec<(&'static str, String)> {
    let EventKind::ApprovalDecided { by, .. } = &event.kind else { return Vec::new() };
    let who = person(request, by.as_ref().map(ToString::to_string)).await;
    let note = note(request, event).await.unwrap_or_default();
    let why = note["reason"].as_str().filter(|why| !why.is_empty()).map(|why| ("Reason", escape_hidden(why)));
    std::iter::once(("By", who)).chain(why).collect()
}

/// Revoking the key that called, and stopping its VM, for whoever may.
fn deeds(request: &SignedInRequest, record: &CallRecord) -> Vec<CallAction> {
    let state = request.http.gateway.state();
    let key = record.credential.parse().ok().and_then(|id| state.credentials.get(&id));
    let key = key.filter(|row| row.revoked_at.is_none());
    let vm = record.about(&VM).and_then(|id| state.vm(id));
    let (scope, place) = if request.is_staff() { (Scope::StaffTokens, "credentials") } else { (Scope::AccountRead, "keys") };
    let may_revoke = request.may(scope) && (request.role().administers() || request.is_staff());
    let revoke = key.filter(|row| may_revoke && (request.is_staff() || row.created.role.is_none())).map(|row| CallAction {
        text: if row.created.role.is_some() { "Revoke sessions".to_owned() } else { format!("Revoke {}", key_name(row)) },
        href: format!("/console/{place}/{}/revoke", row.created.credential),
    });
    let may_stop = !request.is_staff() || request.may(Scope::StaffSwitch);
    let stop = vm.filter(|_| may_stop).map(|row| CallAction {
        text: format!("Stop all agents on {}…", escape_hidden(&row.label)),
        href: if request.is_staff() {
            format!("/console/switches/new?target=vm:{}", row.id)
        } else {
            format!("/console/vms/{}#stop", row.id)
        },
    });
    revoke.into_iter().chain(stop).collect()
}

/// What is not there of arguments and result, and by which rule.
fn marks(timeline: &CallTimeline) -> Vec<String> {
    let mut found = Vec::new();
    for (part, path) in [(&timeline.arguments, "arguments"), (&timeline.result, "result")] {
        if let Some(part) = part {
            mark(part, path, &mut found);
        }
    }
    found
}

fn mark(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(class) = fields.get("$redacted").and_then(Value::as_str) {
                found.push(format!(
                    "{}: class {}, not recorded: the tool lists no field of this name, or lists it as secret",
                    escape_hidden(path),
                    escape_hidden(class)
                ));
            }
            if let Some(size) = fields.get("$size").or_else(|| fields.get("$abridged").and_then(|kept| kept.get("size"))) {
                found.push(format!("{}: shortened; it had {size} bytes", escape_hidden(path)));
            }
            fields
                .iter()
                .filter(|(name, _)| !name.starts_with('$'))
                .for_each(|(name, value)| mark(value, &format!("{path}.{name}"), found));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| mark(value, &format!("{path}[{at}]"), found)),
        Value::String(text) if text.contains("[redacted token]") => {
            found.push(format!("{}: a token in it was replaced, by its known pattern", escape_hidden(path)));
        }
        Value::String(text) if text.contains(" bytes are not recorded …]") => {
            found.push(format!("{}: its middle is not recorded; the text says how much", escape_hidden(path)));
        }
        _ => {}
    }
}

/// How a command stands that has no exit code.
fn without_exit(status: Status, ran: Option<i64>) -> String {
    let why = match status {
        Status::TimedOut => "time limit",
        Status::Cancelled => "cancelled",
        _ => "no result",
    };
    match ran.filter(|ran| *ran > 0) {
        _ if !status.is_terminal() => "It has not ended yet.".to_owned(),
        Some(ran) => format!("Ended after {}: {why}", format_duration(ran)),
        None => "Not run".to_owned(),
    }
}

/// What takes no time that could be measured is not said.
fn durations(took: &Durations) -> Vec<(&'static str, String)> {
    let Durations { decided, queued, ran, total } = *took;
    let parts = [("Decision", decided), ("Waiting for a worker", queued), ("Running", ran), ("Total", total)];
    parts.into_iter().filter_map(|(text, took)| Some((text, format_duration(took.filter(|took| *took > 0)?)))).collect()
}

/// What else happened within five minutes: in its session, on its VM, by its key.
fn around(record: &CallRecord) -> Vec<NearbyCalls> {
    let (from, to) = (Micros(record.at.0 - AROUND), Micros(record.at.0 + AROUND));
    let time = format!("created:{}..{}", from.rfc3339(), to.rfc3339());
    let same = |text, field, value: Option<&str>| {
        Some(NearbyCalls { text, href: Line::default().and(field, value?, false).over(&time).href() })
    };
    let account = Some(record.account.as_str());
    [
        same("In its session", Field::Session, record.session.as_deref()),
        same("On its VM", Field::Resource(&VM), record.about(&VM).map(ResourceId::as_str)),
        same("By its key", Field::Credential, Some(&record.credential)),
        same("In its account", Field::Account, account),
    ]
    .into_iter()
    .flatten()
    .collect()
}
