//! `/console/approvals`: the calls that wait for a person, with what they would do, and this person's answer.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::activity::{Pairs, Row};
use super::address::encoded;
use super::answer::{check_said_why, refused, submit};
use super::approval_history::{Decided, decided, listed};
use super::engaged::names;
use super::form::Posted;
use super::form_state::FormState;
use super::format::{DisplayTime, escape_hidden, json as shown_json};
use super::frame::{Frame, page};
use super::overview::{Machine, machine};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::target_words::stops;
use super::told;
use super::who::{emails, key_name};
use crate::core::id::{CallId, VmId};
use crate::core::switch::Target;
use crate::core::time::Micros;

const HERE: &str = "/console/approvals";

#[derive(Template)]
#[template(path = "approvals.html")]
struct Approvals {
    frame: Frame,
    /// Why this person is shown no call of others, and who is; none if they may answer.
    role: Option<&'static str>,
    waiting: Vec<Waiting>,
    decided: Vec<Decided>,
    trouble: Option<String>,
    /// Where the calls are that do not fit on this page.
    next: Option<String>,
}

/// A call that waits.
struct Waiting {
    id: String,
    /// What it would do.
    what: String,
    tool: String,
    vm: Option<Machine>,
    account: Option<String>,
    by: String,
    key: String,
    why: String,
    arguments: String,
    policy: i64,
    held: DisplayTime,
    expires: DisplayTime,
    needs_two: bool,
    agreed: Vec<String>,
    may_reject: bool,
    /// Why this person may not approve it, and who may; none if they may.
    why_not: Option<&'static str>,
    form: FormState,
}

/// The inbox.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    let cursor = pairs.into_iter().find_map(|(name, value)| (name == "cursor").then_some(value));
    inbox(&request, None, cursor).await
}

/// The link that a caller was given; the inbox has the call if it still waits.
pub async fn one(Path(id): Path<String>) -> Response {
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    Redirect::to(&format!("{HERE}#{id}")).into_response()
}

/// An answer. What was refused is shown again with why, and the rest of the inbox.
pub async fn answer(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    check_said_why(&request, HERE)?;
    let call = id.parse().map_err(|_| PageError::NotFound)?;
    match submit(&request, &call, &fields).await {
        Ok(done) => Ok(told::after(&request, HERE, done)),
        Err(fault) => inbox(&request, Some((call, refused(fields, fault)?)), None).await,
    }
}

/// The inbox, with the answer that was refused if one was.
async fn inbox(
    request: &SignedInRequest,
    mut refused: Option<(CallId, FormState)>,
    cursor: Option<String>,
) -> Result<Response, PageError> {
    check_said_why(request, HERE)?;
    let found = request.done("approval_list", json!({ "reason": request.reason, "cursor": cursor })).await?;
    let next = found["next_cursor"].as_str().map(|cursor| format!("{HERE}?cursor={}", encoded(cursor)));
    let items = found["items"].as_array().map_or(&[][..], Vec::as_slice);
    let ids: Vec<String> = items.iter().filter_map(|item| item["id"].as_str()).map(str::to_owned).collect();
    let mut asked_for = listed(request, &ids).await?;
    let (status, trouble) = match &refused {
        Some((call, form)) => {
            let waits = ids.iter().any(|id| id == call.as_str());
            // Of a call that waits, a fault of a field stands beside it.
            (form.status(), form.fault("").or_else(|| form.any_fault().filter(|_| !waits)).map(str::to_owned))
        }
        None => (StatusCode::OK, None),
    };
    let people = items.iter().flat_map(|item| consents(item).chain(item["user"].as_str()));
    let emails = emails(request, &people.filter_map(|id| id.parse().ok()).collect()).await?;
    let waiting = items.iter().map(|item| {
        let row = item["id"].as_str().and_then(|id| asked_for.remove(id));
        let form = refused.take_if(|(call, _)| item["id"] == call.as_str()).map(|(_, form)| form).unwrap_or_default();
        Waiting { form, ..read(request, item, row, &emails) }
    });
    let waiting = waiting.collect();
    let decided = decided(request).await?;
    let frame = Frame::of("Approvals", HERE, request).await;
    Ok((status, page(&Approvals { frame, role: role(request), waiting, decided, trouble, next })).into_response())
}

/// Why a role approves nothing, and whose does.
fn role(request: &SignedInRequest) -> Option<&'static str> {
    match (request.may_approve(), request.is_staff()) {
        (true, _) => None,
        (false, true) => Some("Your role does not approve calls. A responder or an admin can."),
        (false, false) => Some("Your role does not approve calls. An owner of the account can."),
    }
}

/// Why somebody may not approve a call that waits, and who may. Whether they may is decided when they answer.
fn why_not(request: &SignedInRequest, item: &Value) -> Option<&'static str> {
    let own = Value::from(request.principal.user.as_str());
    let has_agreed = item["approvals"].as_array().into_iter().flatten().any(|consent| consent["by"] == own);
    if let Some(role) = role(request) {
        return Some(role);
    }
    match (request.is_staff(), item["approver"].as_str()) {
        (true, Some("owner")) => Some("The policies ask for a person of the account. An owner of the account can approve it."),
        (false, Some("staff")) => {
            Some("The policies ask for your provider's staff. A responder or an admin there can approve it.")
        }
        _ if has_agreed => Some("You have approved it. A second person has to."),
        _ if item["separate"] == true && item["user"] == own => Some(
            "It is a call of your own key, and the policies ask for another person. Another owner of the account can approve it.",
        ),
        _ => None,
    }
}

/// Who has said yes to a call.
fn consents(item: &Value) -> impl Iterator<Item = &str> {
    item["approvals"].as_array().into_iter().flatten().filter_map(|consent| consent["by"].as_str())
}

fn read(request: &SignedInRequest, item: &Value, row: Option<Row>, emails: &BTreeMap<String, String>) -> Waiting {
    let text = |name: &str| item[name].as_str().map(str::to_owned);
    let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
    let time = |name: &str| {
        item[name].as_str().and_then(|text| Micros::read(text).ok()).map(|at| DisplayTime::of(at, now)).unwrap_or_default()
    };
    let person = |id: &str| emails.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let key = text("credential").unwrap_or_default();
    let vm = text("vm_id").and_then(|id| id.parse().ok()).and_then(|id| as_it_is(request, &id));
    let tool = escape_hidden(&text("tool").unwrap_or_default());
    let heading = row.map(|row| row.act.heading(vm.as_ref().map(|vm| vm.label.as_str()))).filter(|text| !text.is_empty());
    let label = key.parse().ok().and_then(|id| state.credentials.get(&id)).map(key_name);
    Waiting {
        id: text("id").unwrap_or_default(),
        what: heading.unwrap_or_else(|| tool.clone()),
        tool,
        vm,
        account: text("account").filter(|_| request.is_staff()),
        by: person(item["user"].as_str().unwrap_or_default()),
        key: label.unwrap_or(key),
        why: escape_hidden(&text("why").unwrap_or_default()),
        arguments: shown_json(&item["arguments"]),
        policy: item["policy"].as_i64().unwrap_or_default(),
        held: time("held_at"),
        expires: time("expires_at"),
        needs_two: item["second_person"].as_bool().unwrap_or_default(),
        agreed: consents(item).map(person).collect(),
        may_reject: request.may_approve(),
        why_not: why_not(request, item),
        form: FormState::default(),
    }
}

/// The VM as it is now. What stops everything stops it too.
fn as_it_is(request: &SignedInRequest, id: &VmId) -> Option<Machine> {
    let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
    let vm = state.vms.get(id)?;
    let mut stopping = state.switches_in_force(now).filter(|switch| switch.target == Target::All || names(&switch.target, vm));
    let stopped = stopping.next().map(|switch| stops(&switch.target, &state));
    Some(Machine { stopped, ..machine(vm, &state, now) })
}
