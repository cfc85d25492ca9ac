//! `GET /console/events`: what happened outside of calls: switches with who, why and for how long, keys, VMs, sign-ins, and
//! who read the log. A customer sees what affects its account, the staff's readings included.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde_json::{Value, json};

use super::activity::{Choice, Pairs};
use super::address::encoded;
use super::changes::{Change, change};
use super::format::{DisplayTime, escape_hidden, format_approximate};
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::who::operator;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;
use crate::http::api::list_events::EventFilters;
use crate::tools::{AdministrationQuery, AdministrationRecord};

#[derive(Template)]
#[template(path = "events.html")]
struct Page {
    frame: Frame,
    is_staff: bool,
    kinds: Vec<Choice>,
    account: String,
    subject: String,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

/// An event in a list.
pub struct Row {
    /// When.
    pub at: DisplayTime,
    /// What happened.
    pub kind: String,
    /// For how long, of a switch that has ended.
    pub length: Option<String>,
    /// The account that it affects, for staff.
    pub account: Option<String>,
    /// Who did it.
    pub by: Option<String>,
    /// What it is about, and where that is shown.
    pub subject: Option<(String, Option<String>)>,
    /// What was said, by name.
    pub said: Vec<(String, String)>,
    /// What it changed.
    pub change: Option<Change>,
}

/// The page.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    let value = |wanted: &str| {
        let found = pairs.iter().find(|(name, value)| name == wanted && !value.trim().is_empty());
        found.map(|(_, value)| value.trim().to_owned())
    };
    let asked = EventFilters {
        account: value("account"),
        r#type: value("type"),
        subject: value("subject"),
        cursor: value("cursor"),
        ..EventFilters::default()
    };
    if let Some(why) = asked.fault() {
        return Err(Refusal::new(Code::ValidationFailed, why).into());
    }
    if request.is_staff() && asked.account.is_none() && request.reason.is_none() {
        return Err(PageError::NoReason { next: request.path.clone() });
    }
    let whose = asked.owner(&request.http.gateway.state());
    request.check_reader("events", whose, json!(asked)).await?;
    let chosen = |kind: &str| Choice { id: kind.into(), label: words(kind), is_chosen: asked.r#type.as_deref() == Some(kind) };
    let kinds = AdministrationQuery::TYPES.iter().map(|kind| chosen(kind)).collect();
    let filters: Vec<String> =
        ["type", "account", "subject"].iter().filter_map(|name| Some(format!("{name}={}", encoded(&value(name)?)))).collect();
    let href =
        |more: Option<String>| format!("/console/events?{}", filters.iter().cloned().chain(more).collect::<Vec<_>>().join("&"));
    let first = asked.cursor.is_some().then(|| href(None));
    let (account, subject) = (asked.account.clone().unwrap_or_default(), asked.subject.clone().unwrap_or_default());
    let listed = request.http.events(&request.principal, asked).await?;
    Ok(page(&Page {
        frame: Frame::of("Events", "/console/events", &request).await,
        is_staff: request.is_staff(),
        kinds,
        account,
        subject,
        rows: rows(&listed.items, &request).await?,
        first,
        next: listed.next_cursor.map(|cursor| href(Some(format!("cursor={}", encoded(&cursor))))),
    }))
}

fn words(kind: &str) -> String {
    kind.replace('_', " ")
}

/// Events as they are listed.
pub async fn rows(items: &[AdministrationRecord], request: &SignedInRequest) -> Result<Vec<Row>, PageError> {
    let now = request.http.gateway.control().ports.clock.now();
    let people = people(items, request).await;
    let begun = begun(items, request).await?;
    let row = |record: &AdministrationRecord| {
        let since = record.subject.as_ref().filter(|_| is_end(&record.kind)).and_then(|switch| begun.get(switch));
        Row {
            at: DisplayTime::of(record.at, now),
            kind: words(&record.kind),
            length: since.map(|since| format_approximate(record.at.since(*since))),
            account: record.account.clone().filter(|account| request.is_staff() && record.subject.as_ref() != Some(account)),
            by: operator(&record.note).or_else(|| record.user.as_ref().map(|user| people.get(user).unwrap_or(user).clone())),
            subject: record.subject.as_ref().map(|subject| (escape_hidden(subject), place(subject, request))),
            said: said(&record.note),
            change: None,
        }
    };
    let mut rows: Vec<Row> = items.iter().map(row).collect();
    for (row, record) in rows.iter_mut().zip(items) {
        row.change = change(record, request).await?;
    }
    Ok(rows)
}

fn is_end(kind: &str) -> bool {
    matches!(kind, "switch_released" | "switch_expired")
}

/// When the switches were engaged whose end is listed.
async fn begun(items: &[AdministrationRecord], request: &SignedInRequest) -> Result<BTreeMap<String, Micros>, PageError> {
    let activity = &request.http.gateway.control().ports.activity;
    let mut begun = BTreeMap::new();
    for switch in items.iter().filter(|record| is_end(&record.kind)).filter_map(|record| record.subject.clone()) {
        let visibility = request.visibility();
        let (kind, concerns) = (Some("switch_engaged".to_owned()), visibility.concerns(&request.http.gateway.state()));
        let subject = Some(switch.clone());
        let query = AdministrationQuery { visibility, concerns, kind, subject, limit: 1, ..AdministrationQuery::default() };
        let found = activity.administration(query).await?;
        begun.extend(found.items.first().map(|engaged| (switch, engaged.at)));
    }
    Ok(begun)
}

/// The e-mail addresses of the people that whoever looks may know: staff all, a customer its own.
async fn people(items: &[AdministrationRecord], request: &SignedInRequest) -> BTreeMap<String, String> {
    let wanted = |id: &str| items.iter().any(|record| record.user.as_deref() == Some(id));
    let people = request.http.gateway.control().ports.reader.vault.users().await.unwrap_or_default();
    let known = people.into_iter().filter(|person| request.is_staff() || person.account == request.principal.account);
    let known = known.filter(|person| wanted(person.id.as_str()));
    known.map(|person| (person.id.to_string(), escape_hidden(person.email.as_str()))).collect()
}

/// Where a subject is shown.
fn place(subject: &str, request: &SignedInRequest) -> Option<String> {
    let page = match subject.split_once('_')?.0 {
        "vm" => "vms",
        "acc" if request.is_staff() => "accounts",
        "key" if request.is_staff() => "credentials",
        "swi" => return Some(format!("/console/events?subject={}", encoded(subject))),
        _ => return None,
    };
    Some(format!("/console/{page}/{}", encoded(subject)))
}

/// What was said: the fields of a note that have a value.
fn said(note: &Value) -> Vec<(String, String)> {
    match note {
        Value::Null => Vec::new(),
        Value::Object(fields) => {
            let told = fields.iter().filter(|(_, value)| !value.is_null());
            told.map(|(name, value)| (escape_hidden(name), plain(value))).collect()
        }
        other => vec![("message".to_owned(), plain(other))],
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{} {}", escape_hidden(name), plain(value))).collect::<Vec<_>>().join(", ")
        }
        other => escape_hidden(&other.as_str().map_or_else(|| other.to_string(), str::to_owned)),
    }
}
