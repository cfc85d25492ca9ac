//! `/console/vms/{id}`: one VM, what was done to it, whether commands are on, and stopping all agents on it.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::activity::{Row, rows, with};
use super::confirm::Confirm;
use super::form::Posted;
use super::form_state::{Argument, FormState};
use super::format::FilterLink;
use super::frame::{Frame, page};
use super::overview::{Machine, machine};
use super::page_error::PageError;
use super::period::links;
use super::request::SignedInRequest;
use super::told;
use super::vm_switches::{ClassStatus, class_statuses};
use super::who::account_name;
use crate::core::id::VmId;
use crate::core::noun::vm::VM;
use crate::core::reading::Reading;
use crate::core::scope::Scope;
use crate::core::search::{Field, Search};
use crate::core::state::Vm;
use crate::tools::ActivityQuery;

const HISTORY: u32 = 20;

#[derive(Template)]
#[template(path = "vm.html")]
struct VmPage {
    frame: Frame,
    vm: Machine,
    machine: String,
    /// Whose it is, and what they are called; for staff.
    account: Option<(String, String)>,
    class_statuses: Vec<ClassStatus>,
    may_exec: bool,
    may_stop: bool,
    may_stop_commands: bool,
    periods: Vec<FilterLink>,
    rows: Vec<Row>,
    draft: FormState,
}

/// What the arguments of a stop come from.
const ARGUMENTS: [Argument; 2] = [
    Argument { name: "reason", field: "reason", takes: "Give a reason of 1 to 500 characters." },
    Argument { name: "message", field: "message", takes: "The message may have at most 500 characters." },
];

/// The page.
pub async fn show(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    shown(&request, &id, FormState::default()).await
}

async fn shown(request: &SignedInRequest, id: &str, draft: FormState) -> Result<Response, PageError> {
    let gateway = &request.http.gateway;
    let vm = seen(request, id)?;
    request.check_reader(Reading::Resource((&vm.id).into()), Some(vm.account.clone()), json!({ "vm": vm.id })).await?;
    let mut search = Search::default();
    search.only(Field::Resource(&VM), vm.id.to_string()).map_err(|_| PageError::NotFound)?;
    let query = ActivityQuery { visibility: request.visibility(), search, limit: HISTORY, ..ActivityQuery::default() };
    let found = gateway.control().ports.activity.list(query).await?;
    let (state, now) = (gateway.state(), gateway.control().ports.clock.now());
    let listed = machine(&vm, &state, now);
    let account =
        if request.is_staff() { Some((vm.account.to_string(), account_name(request, &vm.account).await)) } else { None };
    let status = draft.status();
    let shown = page(&VmPage {
        frame: Frame::of(listed.label.clone(), "/console/", request).await,
        machine: super::format::escape_hidden(&vm.machine),
        account,
        class_statuses: class_statuses(&vm, &state, request.is_staff(), now),
        may_exec: request.may(Scope::VmsExec) && !request.is_staff(),
        may_stop: !request.is_staff(),
        may_stop_commands: request.may(Scope::StaffSwitch),
        periods: links(now, (None, None), |bounds| with(&[("vm".to_owned(), vm.id.to_string())], bounds)),
        rows: rows(&found.items, request).await,
        vm: listed,
        draft,
    });
    Ok((status, shown).into_response())
}

/// A VM that this person may see; staff see all. Absent and not one's own look the same.
fn seen(request: &SignedInRequest, id: &str) -> Result<Vm, PageError> {
    let id: VmId = id.parse().map_err(|_| PageError::NotFound)?;
    let state = request.http.gateway.state();
    let found = state.vms.get(&id).filter(|vm| request.visibility().vm(vm));
    found.cloned().ok_or(PageError::NotFound)
}

/// Turns commands on or off, by the tool; the form has said what that means.
pub async fn set_exec(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let enabled = fields.choice("enabled", &["false", "true"])? == "true";
    if enabled && fields.text("agreed") != "yes" {
        return Err(PageError::Unreadable("The box that says that you agree was not ticked."));
    }
    let verb = if enabled { "ENABLE" } else { "DISABLE" };
    let args = json!({ "vm_id": id, "enabled": enabled, "confirmation": format!("{verb} MCP EXEC {id}") });
    request.done("vm_exec_set", args).await?;
    Ok(back(&request, &id, if enabled { "Command execution is on." } else { "Command execution is off." }))
}

/// Stops every agent on the VM, and what runs.
pub async fn stop(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let running = fields.choice("running", &["cancel", "let_finish"])?;
    let args = json!({ "reason": fields.text("reason"), "target": "vms", "vm_id": id, "running": running });
    match request.done("panic_engage", args).await {
        Ok(_) => Ok(back(&request, &id, "All agents on this VM are stopped.")),
        Err(fault) => shown(&request, &id, FormState::of(fields, fault.into(), "", &ARGUMENTS)?).await,
    }
}

/// Asks before commands on the VM are stopped.
pub async fn ask_stop_commands(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    let vm = seen(&request, &id)?;
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    Ok(confirmed(&request, &vm, FormState::default()).await)
}

async fn confirmed(request: &SignedInRequest, vm: &Vm, draft: FormState) -> Response {
    let effect = "A switch is engaged: from then on no agent can run a command on it, on any node, until staff release the \
                  switch. Commands that run are cancelled. The VM itself goes on running.";
    let (heading, back) =
        (format!("Stop commands on {}", super::format::escape_hidden(&vm.label)), format!("/console/vms/{}", vm.id));
    let confirm = Confirm::new(heading, effect, &back).danger("Stop commands").with_reason(draft);
    confirm.page(request, &format!("{back}/stop-commands")).await
}

/// Stops commands on the VM, by a switch: turning them off is its customer's own.
pub async fn stop_commands(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let vm = seen(&request, &id)?;
    let mut args = json!({ "target": format!("vm:{}/exec", vm.id), "reason": fields.text("reason"), "running": "cancel" });
    if !fields.text("message").is_empty() {
        args["message"] = json!(fields.text("message"));
    }
    match request.done("switch_engage", args).await {
        Ok(_) => Ok(back(&request, &id, "Commands on this VM are stopped.")),
        Err(fault) => Ok(confirmed(&request, &vm, FormState::of(fields, fault.into(), "", &ARGUMENTS)?).await),
    }
}

fn back(request: &SignedInRequest, id: &str, text: &str) -> Response {
    told::after(request, &format!("/console/vms/{id}"), text)
}
