//! `/console/vms/{id}`: one VM, what was done to it, whether commands are on, and stopping all agents on it.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::activity::{Row, rows};
use super::confirm::Confirm;
use super::effective::{Standing, standings};
use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, page};
use super::overview::{Machine, machine};
use super::visit::Visit;
use crate::core::id::VmId;
use crate::core::noun::vm::VM;
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
    account: Option<String>,
    standings: Vec<Standing>,
    may_exec: bool,
    may_stop: bool,
    may_stop_commands: bool,
    rows: Vec<Row>,
}

/// The page.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let door = &visit.http.door;
    let vm = seen(&visit, &id)?;
    visit.check_reader(&format!("vms/{}", vm.id), Some(vm.account.clone()), json!({ "vm": vm.id })).await?;
    let mut search = Search::default();
    search.only(Field::Resource(&VM), vm.id.to_string()).map_err(|_| Fault::NotFound)?;
    let query = ActivityQuery { sight: visit.sight(), search, limit: HISTORY, ..ActivityQuery::default() };
    let found = door.control().ports.activity.list(query).await?;
    let (state, now) = (door.state(), door.control().ports.clock.now());
    let shown = machine(&vm, &state, now);
    Ok(page(&VmPage {
        frame: Frame::of(shown.label.clone(), "/console/", &visit).await,
        machine: super::shown::visible(&vm.machine),
        account: visit.is_staff().then(|| vm.account.to_string()),
        standings: standings(&vm, &state, visit.is_staff(), now),
        may_exec: visit.may(Scope::VmsExec) && !visit.is_staff(),
        may_stop: !visit.is_staff(),
        may_stop_commands: visit.may(Scope::StaffSwitch),
        rows: rows(&found.items, &visit).await,
        vm: shown,
    }))
}

/// A VM that this person may see; staff see all. Absent and not one's own look the same.
fn seen(visit: &Visit, id: &str) -> Result<Vm, Fault> {
    let id: VmId = id.parse().map_err(|_| Fault::NotFound)?;
    let state = visit.http.door.state();
    let found = state.vms.get(&id).filter(|vm| visit.sight().vm(vm));
    found.cloned().ok_or(Fault::NotFound)
}

/// Turns commands on or off, by the tool; the form has said what that means.
pub async fn set_exec(Path(id): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let enabled = fields.choice("enabled", &["false", "true"])? == "true";
    if fields.text("agreed") != "yes" {
        return Err(Fault::Unreadable("The box that says that you agree was not ticked."));
    }
    let verb = if enabled { "ENABLE" } else { "DISABLE" };
    let args = json!({ "vm_id": id, "enabled": enabled, "confirmation": format!("{verb} MCP EXEC {id}") });
    visit.done("vm_exec_set", args).await?;
    Ok(back(&id))
}

/// Stops every agent on the VM, and what runs.
pub async fn stop(Path(id): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let running = fields.choice("running", &["cancel", "let_finish"])?;
    let args = json!({ "reason": fields.text("reason"), "target": "vms", "vm_id": id, "running": running });
    visit.done("panic_engage", args).await?;
    Ok(back(&id))
}

/// Asks before commands on the VM are stopped.
pub async fn ask_stop_commands(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let vm = seen(&visit, &id)?;
    if !visit.is_staff() {
        return Err(Fault::NotFound);
    }
    let effect = "A switch is engaged: from then on no agent can run a command on it, on any node, until staff release the \
                  switch. Commands that run are cancelled. The VM itself goes on running.";
    let (heading, back) = (format!("Stop commands on {}", super::shown::visible(&vm.label)), format!("/console/vms/{id}"));
    let confirm = Confirm::new(heading, effect, &back).danger("Stop commands").with_reason();
    Ok(confirm.page(&visit, &format!("{back}/stop-commands")).await)
}

/// Stops commands on the VM, by a switch: turning them off is its customer's own.
pub async fn stop_commands(Path(id): Path<String>, Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let vm = seen(&visit, &id)?;
    let mut args = json!({ "target": format!("vm:{}/exec", vm.id), "reason": fields.text("reason"), "running": "cancel" });
    if !fields.text("message").is_empty() {
        args["message"] = json!(fields.text("message"));
    }
    visit.done("switch_engage", args).await?;
    Ok(back(&id))
}

fn back(id: &str) -> Response {
    Redirect::to(&format!("/console/vms/{id}")).into_response()
}
