//! `GET /console/accounts`: every account, found by its name, an e-mail address of its people, or a VM. For staff who have
//! given their reason; each search is recorded with it.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde_json::json;

use super::activity::Pairs;
use super::format::escape_hidden;
use super::frame::{Frame, in_force, page, touches};
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::code::Code;
use crate::core::id::AccountId;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::state::ControlState;
use crate::core::time::Micros;

/// Accounts that are shown; who looks for another one gives its name.
const MAX_LISTED: usize = 100;

/// The longest text that is looked for.
const LONGEST: usize = 256;

#[derive(Template)]
#[template(path = "account_list.html")]
struct Page {
    frame: Frame,
    q: String,
    reason: Option<String>,
    change_reason: String,
    rows: Vec<Row>,
    more: usize,
}

/// An account in the list.
struct Row {
    id: String,
    name: String,
    is_staffs: bool,
    vms: usize,
    people: usize,
    keys: usize,
    stopped: usize,
}

/// The page.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    if request.reason.is_none() {
        return Err(PageError::NoReason { next: request.path.clone() });
    }
    let asked = pairs.iter().find(|(name, _)| name == "q").map_or("", |(_, value)| value.trim());
    let q: String = asked.chars().take(LONGEST).collect();
    request.check_reader("accounts", None, json!({ "q": q })).await?;
    let vault = &request.http.gateway.control().ports.reader.vault;
    let unreadable = |_| Refusal::new(Code::ControlStateUnreadable, "The names of accounts cannot be read.");
    let names = vault.account_names().await.map_err(unreadable)?;
    let found = if q.is_empty() { Vec::new() } else { vault.users_with_email(&q).await.map_err(unreadable)? };
    let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
    let by_email: BTreeSet<AccountId> =
        found.into_iter().filter(|person| person.role_in(&state).is_some()).map(|person| person.account).collect();
    let fits = |id: &&AccountId| by_email.contains(*id) || fits(id, names.get(id.as_str()), &q, &state);
    let mut rows: Vec<Row> = state.accounts.keys().filter(fits).map(|id| row(id, &names, &state, now)).collect();
    rows.sort_by_cached_key(|row| (row.is_staffs, row.name.to_lowercase(), row.id.clone()));
    let more = rows.len().saturating_sub(MAX_LISTED);
    rows.truncate(MAX_LISTED);
    Ok(page(&Page {
        frame: Frame::of("Accounts", "/console/accounts", &request).await,
        reason: request.reason.as_deref().map(escape_hidden),
        change_reason: format!("/console/reason?next={}", super::address::encoded(&request.path)),
        q: escape_hidden(&q),
        rows,
        more,
    }))
}

/// Whether an account's id, its name or one of its VMs has the text in it.
fn fits(id: &AccountId, name: Option<&String>, q: &str, state: &ControlState) -> bool {
    let wanted = q.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&wanted);
    has(id.as_str())
        || name.is_some_and(|name| has(name))
        || state.vms_of(id).any(|vm| has(&vm.label) || has(vm.id.as_str()) || has(&vm.machine))
}

fn row(id: &AccountId, names: &BTreeMap<String, String>, state: &ControlState, now: Micros) -> Row {
    let live = || state.keys_of(id).filter(|row| row.revoked_at.is_none());
    Row {
        id: id.to_string(),
        name: names.get(id.as_str()).map_or_else(|| id.to_string(), |name| escape_hidden(name)),
        is_staffs: state.accounts.get(id).is_some_and(|account| account.side == Side::Staff),
        vms: state.vms_of(id).count(),
        people: state.users_of(id).filter(|user| user.role.is_some()).count(),
        keys: live().filter(|row| row.created.role.is_none()).count(),
        stopped: in_force(state, now).filter(|switch| touches(switch, id, state)).count(),
    }
}
