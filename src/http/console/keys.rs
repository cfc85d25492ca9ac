//! `/console/keys`: what agents sign in with. A key is shown once, on the page that answers its form.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::clients::{Client, clients};
use super::form::{Fields, Posted};
use super::form_state::{Argument, FormState};
use super::format::{DisplayTime, escape_hidden, group_digits};
use super::frame::{Frame, page};
use super::key_scopes::{Choosable, PRESETS, Preset, choosable, wanted};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::told;
use super::who::key_name;
use crate::core::code::Code;
use crate::core::id::AccountId;
use crate::core::job::Use;
use crate::core::lineage::alive;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::state::{ControlState, Credential};
use crate::core::time::Micros;
use crate::core::visible::capitalized;
use crate::tools::page::cut;

const HERE: &str = "/console/keys";

/// Keys that have ended, on one page.
const MAX_ENDED: usize = 50;

/// What the arguments of `key_create` come from.
const ARGUMENTS: [Argument; 4] = [
    Argument { name: "label", field: "label", takes: "Give the key a name of 1 to 100 characters." },
    Argument {
        name: "ips",
        field: "ips",
        takes: "Write addresses or networks with commas between them, for example 192.0.2.7 or 192.0.2.0/24.",
    },
    Argument { name: "scopes", field: "scope", takes: "Choose at least one scope that the form offers." },
    Argument { name: "vms", field: "vm", takes: "Choose VMs that the form offers." },
];

#[derive(Template)]
#[template(path = "keys.html")]
struct Keys {
    frame: Frame,
    live: Vec<Key>,
    ended: Vec<Key>,
    /// How many have ended.
    over: usize,
    /// Where those that were made before these are.
    older: Option<String>,
    /// Older ones were asked for.
    is_older: bool,
    may_make: bool,
    presets: &'static [Preset],
    scopes: Vec<Choosable>,
    draft: FormState,
    vms: Vec<(String, String)>,
}

/// A key in a list.
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its label, where it is plain that it is one.
    pub label: String,
    /// The key, as one.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// What it may do.
    pub scopes: String,
    /// On so many VMs only.
    pub vms: Option<usize>,
    /// It is what the console acts with for a person.
    pub is_person: bool,
    /// When it was made.
    pub made: DisplayTime,
    /// How often it was used, and when last.
    pub used: Option<(String, DisplayTime)>,
    /// When it ends.
    pub ends: Option<DisplayTime>,
    /// When it was revoked.
    pub revoked: Option<DisplayTime>,
    /// Although it was revoked, another secret of it goes on, which begins like this.
    pub goes_on: Option<String>,
    /// The key that it was made with, if a key made it, or what has ended since.
    pub maker: Option<String>,
    /// It has not ended itself: a person may keep it without its maker.
    pub may_keep: bool,
}

impl Key {
    /// As a heading.
    pub fn title(&self) -> String {
        capitalized(&self.name)
    }
}

#[derive(Template)]
#[template(path = "keys/made.html")]
struct Made {
    frame: Frame,
    label: String,
    id: String,
    key: String,
    mcp_url: String,
    clients: Vec<Client>,
    connected: Option<DisplayTime>,
}

/// Where the ended keys go on.
#[derive(Default, Deserialize)]
pub struct Older {
    /// Keys that were made before this one.
    before: Option<String>,
}

/// The page.
pub async fn show(request: SignedInRequest, Query(older): Query<Older>) -> Result<Response, PageError> {
    list(&request, FormState::default(), older).await
}

async fn list(request: &SignedInRequest, draft: FormState, Older { before }: Older) -> Result<Response, PageError> {
    let gateway = &request.http.gateway;
    gateway.check_alive(&request.principal).await?;
    if request.is_staff() {
        return Err(PageError::NotFound);
    }
    let (state, now) = (gateway.state(), gateway.control().ports.clock.now());
    let account = &request.principal.account;
    let visibility = request.visibility();
    // What the console acts with for a person stands with the people.
    let own: Vec<&Credential> = state.keys_of(account).filter(|row| visibility.key(row) && row.created.role.is_none()).collect();
    let is_live = |row: &&Credential| alive(&state, &row.created.credential, now).is_ok();
    let (live, over): (Vec<_>, Vec<_>) = own.into_iter().rev().partition(is_live);
    let is_older = |row: &&Credential| before.as_deref().is_none_or(|before| row.created.credential.as_str() < before);
    let (ended, next) = cut(over.iter().copied().filter(is_older), |row| &row.created.credential, MAX_ENDED);
    let older = next.map(|last| format!("{HERE}?before={last}#ended"));
    let uses = uses(request, &[&live[..], &ended].concat()).await?;
    let vms = visibility.vms(&state);
    let status = draft.status();
    let shown = page(&Keys {
        frame: Frame::of("Keys", HERE, request).await,
        live: live.into_iter().map(|row| key(row, &state, &uses, now)).collect(),
        ended: ended.into_iter().map(|row| key(row, &state, &uses, now)).collect(),
        over: over.len(),
        older,
        is_older: before.is_some(),
        may_make: request.role().administers(),
        presets: &PRESETS,
        scopes: choosable(request),
        draft,
        vms: vms.map(|vm| (vm.id.to_string(), escape_hidden(&vm.label))).collect(),
    });
    Ok((status, shown).into_response())
}

fn key(row: &Credential, state: &ControlState, uses: &BTreeMap<String, Use>, now: Micros) -> Key {
    let made = &row.created;
    let by_key = |maker: &&Credential| maker.created.role.is_none() || alive(state, &maker.created.credential, now).is_err();
    let maker = state.makers(&made.credential).into_iter().find(by_key);
    let has_ended = row.revoked_at.is_some() || made.expires_at.is_some_and(|end| end <= now);
    let last = uses.get(made.credential.as_str()).filter(|used| used.count > 0);
    let scopes: Vec<&str> = made.scopes.iter().map(|scope| scope.as_str()).collect();
    let scopes =
        if made.scopes == Scope::customer() { "everything but people, keys and approvals".to_owned() } else { scopes.join(" ") };
    let scopes = if made.read_only { format!("read-only: {scopes}") } else { scopes };
    Key {
        id: made.credential.to_string(),
        label: escape_hidden(&row.label),
        name: key_name(row),
        prefix: made.prefix.to_string(),
        scopes,
        vms: made.vms.as_ref().map(Vec::len),
        is_person: made.role.is_some(),
        made: DisplayTime::of(row.created_at, now),
        used: last.map(|used| (group_digits(i64::try_from(used.count).unwrap_or(i64::MAX)), DisplayTime::of(used.last, now))),
        ends: made.expires_at.map(|end| DisplayTime::of(end, now)),
        revoked: row.revoked_at.map(|at| DisplayTime::of(at, now)),
        goes_on: row.revoked_at.and(state.goes_on_in(&made.credential)).and_then(|other| {
            let other = state.credentials.get(other)?;
            Some(other.created.prefix.to_string())
        }),
        maker: maker.map(key_name),
        may_keep: maker.is_some() && !has_ended,
    }
}

/// A key as it is listed.
pub async fn key_of(request: &SignedInRequest, row: &Credential) -> Result<Key, PageError> {
    let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
    Ok(key(row, &state, &uses(request, &[row]).await?, now))
}

/// The keys of an account that live, and the newest of those that ended, the newest first; and how many more ended.
pub async fn keys_of(request: &SignedInRequest, account: &AccountId) -> Result<(Vec<Key>, usize), PageError> {
    let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
    let mut ended = 0;
    let mut is_shown = |row: &&Credential| {
        let is_over = alive(&state, &row.created.credential, now).is_err();
        ended += usize::from(is_over);
        !is_over || ended <= MAX_ENDED
    };
    let of_agents = state.keys_of(account).rev().filter(|row| row.created.role.is_none());
    let own: Vec<&Credential> = of_agents.filter(&mut is_shown).collect();
    let uses = uses(request, &own).await?;
    Ok((own.into_iter().map(|row| key(row, &state, &uses, now)).collect(), ended.saturating_sub(MAX_ENDED)))
}

/// How often each key was used, by its id.
async fn uses(request: &SignedInRequest, keys: &[&Credential]) -> Result<BTreeMap<String, Use>, PageError> {
    let names: Vec<String> = keys.iter().map(|row| format!("use:{}", row.created.credential)).collect();
    let rows = request.http.gateway.control().ports.reader.store.state_rows(&names).await;
    let rows = rows.map_err(|_| Refusal::new(Code::ControlStateUnreadable, "The use of keys cannot be read."))?;
    let read = |name: &str, doc: &[u8]| Some((name.strip_prefix("use:")?.to_owned(), serde_json::from_slice(doc).ok()?));
    Ok(rows.iter().filter_map(|row| read(&row.name, &row.doc)).collect())
}

/// When a key was last used, if it is one of the visitor's account.
pub async fn last_use(request: &SignedInRequest, id: &str) -> Result<Option<DisplayTime>, PageError> {
    let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
    let own = id.parse().ok().and_then(|id| state.credentials.get(&id));
    let own = own
        .filter(|row| request.visibility().key(row) && row.created.account == request.principal.account)
        .ok_or(PageError::NotFound)?;
    let uses = uses(request, &[own]).await?;
    Ok(uses.get(id).filter(|used| used.count > 0).map(|used| DisplayTime::of(used.last, now)))
}

/// Makes a key and shows it.
pub async fn create(Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let asked = asked(&request, &fields, request.http.gateway.control().ports.clock.now());
    let made = match asked {
        Ok(asked) => request.done("key_create", asked).await.map_err(PageError::from),
        Err(fault) => Err(fault),
    };
    let result = match made {
        Ok(result) => result,
        Err(fault) => return list(&request, FormState::of(fields, fault, "days", &ARGUMENTS)?, Older::default()).await,
    };
    let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
    let (key, mcp_url) = (text("api_key"), request.mcp_url());
    Ok(page(&Made {
        frame: Frame::of("Key created", HERE, &request).await,
        label: escape_hidden(&text("label")),
        id: text("id"),
        clients: clients(&mcp_url, &key),
        key,
        mcp_url,
        connected: None,
    }))
}

/// The longest that a key may be made for, in days.
const MAX_DAYS: u64 = 3650;

fn asked(request: &SignedInRequest, fields: &Fields, now: Micros) -> Result<Value, PageError> {
    let (scopes, read_only) = wanted(request, fields)?;
    let mut args = json!({ "label": fields.text("label"), "scopes": scopes, "read_only": read_only });
    let vms = fields.all("vm");
    if !vms.is_empty() {
        args["vms"] = json!(vms);
    }
    let ips: Vec<&str> = fields.text("ips").split([',', ' ', '\n']).map(str::trim).filter(|ip| !ip.is_empty()).collect();
    if !ips.is_empty() {
        args["ips"] = json!(ips);
    }
    let unreadable =
        "The days until the key expires are a whole number from 1 to 3650, or nothing for a key that does not expire.";
    if let Some(days) = fields.number("days", 1..=MAX_DAYS, unreadable)? {
        args["expires_at"] = json!(DisplayTime::of(now.plus(std::time::Duration::from_hours(days * 24)), now).iso);
    }
    Ok(args)
}

/// Keeps a key that another one made.
pub async fn adopt(Path(id): Path<String>, Posted { request, .. }: Posted) -> Result<Response, PageError> {
    request.done("key_adopt", json!({ "id": id })).await?;
    Ok(told::after(&request, HERE, &format!("Kept: {}. It is yours now.", name_of(&request, &id))))
}

/// Ends a key for good.
pub async fn revoke(Path(id): Path<String>, Posted { request, .. }: Posted) -> Result<Response, PageError> {
    request.done("key_revoke", json!({ "id": id })).await?;
    let text = format!("Revoked: {}. It fails on its next request.", name_of(&request, &id));
    Ok(told::after(&request, HERE, &text))
}

/// A key, for saying what was done with it.
pub fn name_of(request: &SignedInRequest, id: &str) -> String {
    let state = request.http.gateway.state();
    let row = id.parse().ok().and_then(|id| state.credentials.get(&id));
    row.map_or_else(|| id.to_owned(), key_name)
}
