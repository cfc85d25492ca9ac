//! `GET /console/`: what there is, what happened last, what is used up.

use askama::Template;
use axum::response::Response;
use serde_json::json;

use super::activity::{Row, rows};
use super::effective::standings;
use super::fault::Fault;
use super::frame::{Frame, page};
use super::limits::{Used, used};
use super::shown::visible;
use super::visit::Visit;
use crate::core::state::{ControlState, Vm};
use crate::core::time::Micros;
use crate::tools::ActivityQuery;

/// Calls that are shown.
const LATEST: u32 = 10;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    is_staff: bool,
    may_look: bool,
    vms: Vec<Machine>,
    latest: Vec<Row>,
    limits: Vec<Used>,
}

/// A VM in a list.
pub struct Machine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub label: String,
    /// Who has it.
    pub provider: String,
    /// Commands are on.
    pub exec: bool,
    /// What stops calls on it, in words.
    pub stopped: Option<String>,
    /// Some calls are let through all the same.
    pub is_partly: bool,
}

/// The page.
pub async fn show(visit: Visit) -> Result<Response, Fault> {
    let door = &visit.http.door;
    // The latest calls of everybody are shown to staff who have said why they look, as in the search.
    let may_look = !visit.is_staff() || visit.reason.is_some();
    let found = if may_look {
        visit.check_reader("calls", None, json!({ "page": "overview" })).await?;
        let query = ActivityQuery { sight: visit.sight(), limit: LATEST, ..ActivityQuery::default() };
        door.control().ports.activity.list(query).await?.items
    } else {
        Vec::new()
    };
    let (state, now) = (door.state(), door.control().ports.clock.now());
    let own = state.vms_of(&visit.principal.account).filter(|vm| visit.sight().vm(vm));
    let vms = own.map(|vm| machine(vm, &state, now)).collect();
    let limits = if visit.is_staff() { Vec::new() } else { used(&visit, &state, now).await? };
    let frame = Frame::of("Overview", "/console/", &visit).await;
    Ok(page(&Overview { frame, is_staff: visit.is_staff(), may_look, vms, latest: rows(&found, &visit).await, limits }))
}

/// A VM as it is listed.
pub fn machine(vm: &Vm, state: &ControlState, now: Micros) -> Machine {
    let standings = standings(vm, state, false, now);
    Machine {
        id: vm.id.to_string(),
        label: visible(&vm.label),
        provider: visible(&vm.provider),
        exec: vm.exec_enabled,
        is_partly: standings.iter().any(|standing| standing.by.is_none()),
        stopped: standings.into_iter().find_map(|standing| standing.by).map(|by| by.stops),
    }
}
