//! `GET /console/activity`: what happened, newest first. The address is the whole state; a page never shifts.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::act::{Act, acts};
use super::address::encoded;
use super::callers::{Callers, narrowed, usual};
use super::format::{Chip, DisplayTime, FilterLink, door, escape_hidden};
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::period::links;
use super::request::SignedInRequest;
use super::who::{account_names, emails, key_name, person_of};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::id::{AccountId, UserId};
use crate::core::job::Run;
use crate::core::noun::vm::VM;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::search::{Field, Search};
use crate::core::state::Credential;
use crate::core::time::Micros;
use crate::http::call_filters::{CallFilters, PAGE};
use crate::http::query::{Fault, of_pairs};
use crate::tools::{ActivityPage, ActivityQuery, CallRecord};

/// A call in a list.
pub struct Row {
    /// Its id.
    pub id: String,
    /// When it was asked for.
    pub at: DisplayTime,
    /// How it stands.
    pub chip: Chip,
    /// Why it did not succeed.
    pub code: Option<String>,
    /// The tool.
    pub tool: String,
    /// The VM it is about.
    pub vm: Option<Choice>,
    /// What it does.
    pub act: Act,
    /// Who: a person by e-mail address, or the key.
    pub by: String,
    /// How it came in.
    pub via: String,
    /// Whose it is, for staff.
    pub account: Option<Choice>,
}

/// Something to choose, or to name.
pub struct Choice {
    /// As it is written in an address.
    pub id: String,
    /// As it is shown.
    pub label: String,
    /// It is what was chosen.
    pub is_chosen: bool,
}

#[derive(Template)]
#[template(path = "activity.html")]
struct Activity {
    frame: Frame,
    asked: CallFilters,
    outcomes: Vec<Choice>,
    vms: Vec<Choice>,
    keys: Vec<Choice>,
    callers: Vec<FilterLink>,
    /// Whose calls they are, if that was said.
    who: Option<&'static str>,
    periods: Vec<FilterLink>,
    has_times: bool,
    is_narrow: bool,
    has_more_filters: bool,
    rows: Vec<Row>,
    trouble: Option<String>,
    /// The line to export, for whoever may.
    export: Option<String>,
    first: Option<String>,
    next: Option<String>,
}

/// The pairs of an address.
pub type Pairs = Vec<(String, String)>;

/// The page. Staff have a page of their own, on which everything can be asked.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    if request.is_staff() {
        return Ok(Redirect::to(&format!("/console/search?{}", written(&pairs))).into_response());
    }
    let (asked, fault) = match read(&pairs) {
        Ok(asked) => (asked, None),
        Err(fault) => (CallFilters::default(), Some(fault)),
    };
    let said = pairs.iter().find(|(name, _)| name == "who").and_then(|(_, value)| Callers::named(value));
    let callers = said.unwrap_or_else(|| usual(&asked));
    let narrow = narrowed(&asked, callers);
    let found = match fault {
        None => find(&request, &narrow).await,
        Some(fault) => Err(PageError::Refused(Refusal::new(Code::ValidationFailed, fault.to_string()))),
    };
    let (found, trouble) = match found {
        Ok(found) => (Some(found), None),
        Err(PageError::Refused(refusal)) if refusal.code.status() == 422 => (None, Some(error_text(&refusal))),
        Err(fault) => return Err(fault),
    };
    let filters: Pairs = pairs.into_iter().filter(|(name, value)| !value.is_empty() && name != "cursor").collect();
    let query = written(&filters);
    let now = request.http.gateway.control().ports.clock.now();
    let export = request.http.read_typed(&request.principal, |known| narrow.line(now, known)).ok();
    let next = found.as_ref().and_then(|page| page.next_cursor.as_ref());
    let next = next.map(|cursor| format!("/console/activity?{}", joined(&query, &format!("cursor={}", encoded(cursor)))));
    let first = asked.cursor.is_some().then(|| format!("/console/activity?{query}"));
    let state = request.http.gateway.state();
    let visibility = request.visibility();
    let wanted = |key: &&Credential| asked.credential.as_deref() == Some(key.created.credential.as_str());
    let others = visibility.keys(&state).rev().filter(|key| !wanted(key)).take(MAX_CHOICES);
    let (vms, keys) = (visibility.vms(&state), visibility.keys(&state).filter(wanted).chain(others));
    let chosen = |id: String, label: &str, wanted: Option<&String>| Choice {
        is_chosen: wanted == Some(&id),
        label: escape_hidden(label),
        id,
    };
    let rows = match found {
        Some(found) => rows(&found.items, &request).await,
        None => Vec::new(),
    };
    Ok(page(&Activity {
        outcomes: OUTCOMES.iter().map(|status| outcome(*status, asked.outcome.as_deref())).collect(),
        vms: vms.map(|vm| chosen(vm.id.to_string(), &vm.label, asked.vm.as_ref())).collect(),
        keys: keys.map(|key| chosen(key.created.credential.to_string(), &key.label, asked.credential.as_ref())).collect(),
        callers: Callers::ALL
            .map(|one| FilterLink {
                href: with(&filters, &[("who", Some(one.name()))]),
                text: one.text(),
                is_chosen: one == callers,
            })
            .into(),
        who: said.map(Callers::name),
        periods: links(now, (asked.from.as_deref(), asked.to.as_deref()), |bounds| with(&filters, bounds)),
        has_times: asked.from.is_some() || asked.to.is_some(),
        is_narrow: filters.iter().any(|(name, _)| name != "who"),
        has_more_filters: asked.asks_beside(&SHOWN),
        rows,
        frame: Frame::of("Activity", "/console/activity", &request).await,
        asked,
        trouble,
        export: export.filter(|_| request.may(Scope::AuditRead)),
        first,
        next,
    }))
}

/// Keys to choose from, the newest; of any other there is its page.
const MAX_CHOICES: usize = 200;

/// How a call may stand, in the order that people choose from.
pub const OUTCOMES: [Status; 9] = [
    Status::Succeeded,
    Status::Refused,
    Status::Failed,
    Status::TimedOut,
    Status::Cancelled,
    Status::Unknown,
    Status::Running,
    Status::Queued,
    Status::Held,
];

/// The filters that are shown first; the others are folded until one of them is asked for.
const SHOWN: [Field; 3] = [Field::Outcome, Field::Tool, Field::Resource(&VM)];

fn outcome(status: Status, wanted: Option<&str>) -> Choice {
    let id = status.as_str().to_owned();
    Choice { is_chosen: wanted == Some(status.as_str()), label: Chip::of(status).word.into_owned(), id }
}

/// A page of calls, or a refusal that names the filter which cannot be read. Staff's reading is written down.
pub async fn find(request: &SignedInRequest, asked: &CallFilters) -> Result<ActivityPage, PageError> {
    let query = query(request, asked, Reading::Calls).await?;
    Ok(request.http.gateway.control().ports.activity.list(query).await?)
}

fn error_text(refusal: &Refusal) -> String {
    escape_hidden(&[refusal.message.as_str(), refusal.hint.as_deref().unwrap_or_default()].join(" "))
}

/// What `asked` means for this person, who may ask it.
pub async fn query(request: &SignedInRequest, asked: &CallFilters, what: Reading) -> Result<ActivityQuery, PageError> {
    query_at(request, asked, what, request.http.gateway.control().ports.clock.now()).await
}

/// The same, when `now` was the time.
pub async fn query_at(
    request: &SignedInRequest,
    asked: &CallFilters,
    what: Reading,
    now: Micros,
) -> Result<ActivityQuery, PageError> {
    let (search, whose) = sought(request, asked, now)?;
    request.check_reader(what, whose, json!(asked)).await?;
    Ok(limited(request, asked, search))
}

/// The same for somebody who goes on with what was written down when they began.
pub async fn query_again(request: &SignedInRequest, asked: &CallFilters) -> Result<ActivityQuery, PageError> {
    let (search, _) = sought(request, asked, request.http.gateway.control().ports.clock.now())?;
    request.http.gateway.check_reader_still(&request.principal).await?;
    Ok(limited(request, asked, search))
}

/// What is looked for, and the account that it is about; staff who look at several have said why.
fn sought(request: &SignedInRequest, asked: &CallFilters, now: Micros) -> Result<(Search, Option<AccountId>), PageError> {
    let search = request.http.read_typed(&request.principal, |known| asked.search(now, known));
    let search = search.map_err(|why| PageError::Refused(Refusal::new(Code::ValidationFailed, why)))?;
    if request.is_staff() && search.value(Field::Account).is_none() && request.reason.is_none() {
        return Err(PageError::NoReason { next: request.path.clone() });
    }
    let whose = request.http.gateway.state().owner_of_found(&search);
    Ok((search, whose))
}

/// What is not the reader's own is not found: absent and not one's own look the same.
fn limited(request: &SignedInRequest, asked: &CallFilters, search: Search) -> ActivityQuery {
    let (limit, cursor) = (asked.limit.unwrap_or(PAGE), asked.cursor.clone());
    ActivityQuery { visibility: request.visibility(), search, commands: request.reads_commands(), limit, cursor, as_of: None }
}

/// The page of these filters with some of them otherwise, or without.
pub fn with(filters: &[(String, String)], changed: &[(&str, Option<&str>)]) -> String {
    let rest = filters.iter().filter(|(name, _)| changed.iter().all(|(own, _)| own != name)).cloned();
    let new = changed.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.to_owned())));
    format!("/console/activity?{}", written(&rest.chain(new).collect()))
}

/// The filters of an address; a field that was left empty is none. What is unknown or repeated is refused: a list without it would
/// pass for what was asked for.
fn read(pairs: &Pairs) -> Result<CallFilters, Fault> {
    let given = pairs.iter().filter(|(name, value)| name != "who" && !value.trim().is_empty());
    of_pairs(given.map(|(name, value)| (name.as_str().into(), value.trim().into())))
}

fn written(pairs: &Pairs) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn joined(query: &str, more: &str) -> String {
    if query.is_empty() { more.to_owned() } else { format!("{query}&{more}") }
}

/// Calls as they are listed.
pub async fn rows(items: &[CallRecord], request: &SignedInRequest) -> Vec<Row> {
    let names = account_names(request, items.iter().map(|record| record.account.clone())).await;
    let people = people(items, request).await;
    let mut acts = acts(items, request).await;
    let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
    let mut row = |record: &CallRecord| {
        let vm = record.about(&VM).map(|id| {
            let row = state.vm(id).map(|row| escape_hidden(&row.label));
            Choice { id: id.to_string(), label: row.unwrap_or_else(|| id.to_string()), is_chosen: false }
        });
        let key = record.credential.parse().ok().and_then(|id| state.credentials.get(&id)).map(key_name);
        let act = acts.remove(&record.call_id).unwrap_or_default();
        Row {
            id: record.call_id.to_string(),
            at: DisplayTime::of(record.at, now),
            chip: act.chip(record.status),
            code: record.code.clone(),
            tool: tool_name(record, &act),
            vm,
            act,
            by: people.get(&record.credential).cloned().or(key).unwrap_or_else(|| record.credential.clone()),
            via: door(&record.via),
            account: request.is_staff().then(|| {
                let id = record.account.to_string();
                Choice { label: names.get(&id).unwrap_or(&id).clone(), id, is_chosen: false }
            }),
        }
    };
    items.iter().map(&mut row).collect()
}

/// The tool; of what is none the act is the name that was asked for, if that may be shown.
fn tool_name(record: &CallRecord, act: &Act) -> String {
    match record.tool.as_str() {
        Run::UNKNOWN if act.text.is_empty() => "unknown tool, its name is not shown".to_owned(),
        Run::UNKNOWN => "unknown tool".to_owned(),
        tool => escape_hidden(tool),
    }
}

/// The people that the console acted for, by their credential's id.
async fn people(items: &[CallRecord], request: &SignedInRequest) -> BTreeMap<String, String> {
    let state = request.http.gateway.state();
    let acts_for =
        |record: &CallRecord| Some((record.credential.clone(), person_of(&record.credential.parse().ok()?, &state)?.clone()));
    let people: BTreeMap<String, UserId> = items.iter().filter_map(acts_for).collect();
    let emails = emails(request, &people.values().cloned().collect()).await.unwrap_or_default();
    people.into_iter().filter_map(|(key, user)| Some((key, emails.get(user.as_str())?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_the_api_reads_it_without_its_empty_fields() {
        let pairs = |given: &[(&str, &str)]| -> Pairs {
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let asked = read(&pairs(&[("who", "all"), ("q", " web* "), ("tool", ""), ("vm", " ")])).expect("filters");
        assert_eq!((asked.q.as_deref(), asked.tool, asked.vm), (Some("web*"), None, None));
        let strange = read(&pairs(&[("owner", "me")])).expect_err("an unknown filter");
        assert!(matches!(&strange, Fault::Unknown { known, .. } if known.contains("credential")), "{strange}");
        assert_eq!(read(&pairs(&[("tool", "vm_get"), ("tool", "vm_exec")])).err(), Some(Fault::Twice("tool".into())));
    }
}
