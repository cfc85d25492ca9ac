//! `GET /console/accounts/{id}`: one account as the staff sees it: its VMs, keys and people, what it did, what stops it.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use super::activity::{Row, rows};
use super::engaged::{Engaged, engaged};
use super::event_rows::folded;
use super::format::escape_hidden;
use super::frame::{Frame, page};
use super::keys::{Key, keys_of};
use super::limits::{Used, fullest, used_by};
use super::overview::{Machine, machine};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::search::line::Line;
use crate::core::id::AccountId;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::search::{Field, Search};
use crate::core::state::Credential;
use crate::core::tool::{Class, Risk, ToolSpec};
use crate::http::event_filters::EventFilters;
use crate::tools::{ActivityQuery, specs};

/// Calls, and events, that are shown.
const MAX_LISTED: u32 = 10;

#[derive(Template)]
#[template(path = "customer_account.html")]
struct Page {
    frame: Frame,
    id: String,
    name: String,
    is_staffs: bool,
    vms: Vec<Machine>,
    keys: Vec<Key>,
    /// Keys that have ended and are not shown.
    more_keys: usize,
    people: Vec<Person>,
    switches: Vec<Engaged>,
    limits: Vec<Used>,
    /// How full the fullest of them is, in percent.
    fullest: usize,
    calls: Vec<Row>,
    /// The search for what was refused of what interrupts or destroys.
    refused: String,
    events: Vec<super::event_rows::Row>,
    may_revoke: bool,
    may_stop: bool,
}

/// A person of the account, and what their sessions act with.
struct Person {
    id: String,
    email: String,
    role: &'static str,
    credential: Option<String>,
}

/// The search for what an account was refused of what interrupts service or destroys data.
fn refused(account: &AccountId) -> String {
    let grave = |facts: &&&ToolSpec| matches!(facts.risk, Risk::R3 | Risk::R3p | Risk::R4) || facts.class == Class::Destroy;
    let tools: Vec<&str> = specs().iter().filter(grave).map(|facts| facts.name).collect();
    let line = Line::of(&format!("account:{account} outcome:refused tool:{} last:7d", tools.join(",")));
    line.href()
}

/// The page.
pub async fn show(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    let id: AccountId = id.parse().map_err(|_| PageError::NotFound)?;
    let (gateway, state) = (&request.http.gateway, request.http.gateway.state());
    let account = state.accounts.get(&id).filter(|_| request.is_staff()).ok_or(PageError::NotFound)?;
    request.check_reader(Reading::Account(id.clone()), Some(id.clone()), json!({ "account": id })).await?;
    let (ports, now) = (&gateway.control().ports, gateway.control().ports.clock.now());
    let name = ports.reader.vault.account_name(&id).await.map_err(Refusal::from)?;
    let people = ports.reader.vault.users_of(&id).await.map_err(Refusal::from)?.into_iter();
    let mut search = Search::default();
    search.only(Field::Account, id.to_string()).map_err(|_| PageError::NotFound)?;
    let calls = ports
        .activity
        .list(ActivityQuery { visibility: request.visibility(), search, limit: MAX_LISTED, ..ActivityQuery::default() })
        .await?;
    let asked = EventFilters { account: Some(id.to_string()), limit: Some(MAX_LISTED), ..EventFilters::default() };
    let events = request.http.events(&request.principal, asked).await?;
    let name = name.map_or_else(|| id.to_string(), |name| escape_hidden(&name));
    let limits = used_by(&request, &id, &state, now).await?;
    let (keys, more_keys) = keys_of(&request, &id).await?;
    Ok(page(&Page {
        frame: Frame::of(name.clone(), "/console/accounts", &request).await,
        is_staffs: account.side == crate::core::principal::Side::Staff,
        vms: state.vms_of(&id).map(|vm| machine(vm, &state, now)).collect(),
        keys,
        more_keys,
        people: people
            .filter_map(|person| {
                let role = person.role_in(&state)?;
                let is_own =
                    |row: &&Credential| row.created.role.is_some() && row.created.account == id && row.revoked_at.is_none();
                let credential = state.keys_of_user(&person.id).find(is_own).map(|row| row.created.credential.to_string());
                Some(Person {
                    email: escape_hidden(person.email.as_str()),
                    role: role.as_str(),
                    credential,
                    id: person.id.to_string(),
                })
            })
            .collect(),
        switches: state.switches_touching(&id, now).map(|switch| engaged(switch, &state, true, now)).collect(),
        fullest: fullest(&limits),
        limits,
        calls: rows(&calls.items, &request).await,
        refused: refused(&id),
        events: folded(super::event_rows::rows(&events.items, &request).await?),
        may_revoke: request.role().administers(),
        may_stop: request.may(Scope::StaffSwitch),
        id: id.to_string(),
        name,
    }))
}
