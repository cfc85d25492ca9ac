//! `GET /console/`: what there is, what happened last, what is used up.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use serde_json::json;

use super::activity::{Row, rows};
use super::attention::{Attention, attention};
use super::callers::of_agents;
use super::format::escape_hidden;
use super::frame::{Frame, page};
use super::limits::{Used, fullest, used};
use super::page_error::PageError;
use super::power::power;
use super::request::SignedInRequest;
use super::vm_switches::class_statuses;
use crate::core::code::Code;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::state::{ControlState, Vm};
use crate::core::time::Micros;
use crate::http::call_filters::CallFilters;
use crate::tools::ActivityQuery;

/// Calls that are shown.
const MAX_LISTED: u32 = 10;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    is_staff: bool,
    may_look: bool,
    attention: Vec<Attention>,
    vms: Vec<(Machine, Option<String>)>,
    latest: Vec<Row>,
    limits: Vec<Used>,
    /// The fullest limit, in per cent.
    fullest: usize,
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
pub async fn show(request: SignedInRequest) -> Result<Response, PageError> {
    let gateway = &request.http.gateway;
    // The latest calls of everybody are shown to staff who have said why they look, as in the search.
    let may_look = !request.is_staff() || request.reason.is_some();
    let found = if may_look {
        request.check_reader(Reading::Calls, None, json!({ "page": "overview" })).await?;
        let control = gateway.control();
        let (asked, now) = (of_agents(&CallFilters::default(), &request), control.ports.clock.now());
        let search = request.http.read_typed(&request.principal, |known| asked.search(now, known));
        let search = search.map_err(|why| Refusal::new(Code::InternalError, why))?;
        let query = ActivityQuery { visibility: request.visibility(), search, limit: MAX_LISTED, ..ActivityQuery::default() };
        gateway.control().ports.activity.list(query).await?.items
    } else {
        Vec::new()
    };
    let (state, now) = (gateway.state(), gateway.control().ports.clock.now());
    let own = state.vms_of(&request.principal.account).filter(|vm| request.visibility().vm(vm));
    let vms: Vec<Machine> = own.map(|vm| machine(vm, &state, now)).collect();
    let (partly, wholly): (Vec<&Machine>, Vec<&Machine>) =
        vms.iter().filter(|vm| vm.stopped.is_some()).partition(|vm| vm.is_partly);
    let frame = Frame::of("Overview", "/console/", &request).await;
    let attention = attention(&request, frame.waiting, (wholly.len(), partly.len()), now).await;
    let mut power = if vms.is_empty() { BTreeMap::new() } else { power(&request).await };
    let vms = vms
        .into_iter()
        .map(|vm| {
            let power = power.remove(&vm.id);
            (vm, power)
        })
        .collect();
    let limits = if request.is_staff() { Vec::new() } else { used(&request, &state, now).await? };
    let fullest = fullest(&limits);
    let (is_staff, latest) = (request.is_staff(), rows(&found, &request).await);
    Ok(page(&Overview { frame, is_staff, may_look, attention, vms, latest, limits, fullest }))
}

/// A VM as it is listed.
pub fn machine(vm: &Vm, state: &ControlState, now: Micros) -> Machine {
    let class_statuses = class_statuses(vm, state, false, now);
    Machine {
        id: vm.id.to_string(),
        label: escape_hidden(&vm.label),
        provider: escape_hidden(&vm.provider),
        exec: vm.exec_enabled,
        is_partly: class_statuses.iter().any(|standing| standing.by.is_none()),
        stopped: class_statuses.into_iter().find_map(|standing| standing.by).map(|by| by.stops),
    }
}
