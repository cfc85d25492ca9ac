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
use super::fault::Fault;
use super::frame::{Frame, page};
use super::shown::{When, rough, visible};
use super::visit::Visit;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;
use crate::http::api::list_events::Asked;
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
    pub at: When,
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
pub async fn show(visit: Visit, Query(pairs): Query<Pairs>) -> Result<Response, Fault> {
    let value = |wanted: &str| {
        let found = pairs.iter().find(|(name, value)| name == wanted && !value.trim().is_empty());
        found.map(|(_, value)| value.trim().to_owned())
    };
    let asked = Asked {
        account: value("account"),
        r#type: value("type"),
        subject: value("subject"),
        cursor: value("cursor"),
        ..Asked::default()
    };
    if let Some(why) = asked.fault() {
        return Err(Refusal::new(Code::ValidationFailed, why).into());
    }
    let whose = asked.account.as_ref().and_then(|account| account.parse().ok());
    if visit.is_staff() && whose.is_none() && visit.reason.is_none() {
        return Err(Fault::NoReason { next: visit.path.clone() });
    }
    visit.check_reader("events", whose, json!(asked)).await?;
    let chosen = |kind: &str| Choice { id: kind.into(), label: words(kind), is_chosen: asked.r#type.as_deref() == Some(kind) };
    let kinds = AdministrationQuery::TYPES.iter().map(|kind| chosen(kind)).collect();
    let filters: Vec<String> =
        ["type", "account", "subject"].iter().filter_map(|name| Some(format!("{name}={}", encoded(&value(name)?)))).collect();
    let href =
        |more: Option<String>| format!("/console/events?{}", filters.iter().cloned().chain(more).collect::<Vec<_>>().join("&"));
    let first = asked.cursor.is_some().then(|| href(None));
    let (account, subject) = (asked.account.clone().unwrap_or_default(), asked.subject.clone().unwrap_or_default());
    let listed = visit.http.events(&visit.principal, asked).await?;
    Ok(page(&Page {
        frame: Frame::of("Events", "/console/events", &visit).await,
        is_staff: visit.is_staff(),
        kinds,
        account,
        subject,
        rows: rows(&listed.items, &visit).await?,
        first,
        next: listed.next_cursor.map(|cursor| href(Some(format!("cursor={}", encoded(&cursor))))),
    }))
}

fn words(kind: &str) -> String {
    kind.replace('_', " ")
}

/// Events as they are listed.
pub async fn rows(items: &[AdministrationRecord], visit: &Visit) -> Result<Vec<Row>, Fault> {
    let now = visit.http.door.control().ports.clock.now();
    let people = people(items, visit).await;
    let begun = begun(items, visit).await?;
    let row = |record: &AdministrationRecord| {
        let since = record.subject.as_ref().filter(|_| is_end(&record.kind)).and_then(|switch| begun.get(switch));
        Row {
            at: When::of(record.at, now),
            kind: words(&record.kind),
            length: since.map(|since| rough(record.at.since(*since))),
            account: record.account.clone().filter(|account| visit.is_staff() && record.subject.as_ref() != Some(account)),
            by: record.user.as_ref().map(|user| people.get(user).unwrap_or(user).clone()),
            subject: record.subject.as_ref().map(|subject| (visible(subject), place(subject, visit))),
            said: said(&record.note),
            change: None,
        }
    };
    let mut rows: Vec<Row> = items.iter().map(row).collect();
    for (row, record) in rows.iter_mut().zip(items) {
        row.change = change(record, visit).await?;
    }
    Ok(rows)
}

fn is_end(kind: &str) -> bool {
    matches!(kind, "switch_released" | "switch_expired")
}

/// When the switches were engaged whose end is listed.
async fn begun(items: &[AdministrationRecord], visit: &Visit) -> Result<BTreeMap<String, Micros>, Fault> {
    let activity = &visit.http.door.control().ports.activity;
    let mut begun = BTreeMap::new();
    for switch in items.iter().filter(|record| is_end(&record.kind)).filter_map(|record| record.subject.clone()) {
        let sight = visit.sight();
        let (kind, concerns) = (Some("switch_engaged".to_owned()), sight.concerns(&visit.http.door.state()));
        let subject = Some(switch.clone());
        let query = AdministrationQuery { sight, concerns, kind, subject, limit: 1, ..AdministrationQuery::default() };
        let found = activity.administration(query).await?;
        begun.extend(found.items.first().map(|engaged| (switch, engaged.at)));
    }
    Ok(begun)
}

/// The e-mail addresses of the people that whoever looks may know: staff all, a customer its own.
async fn people(items: &[AdministrationRecord], visit: &Visit) -> BTreeMap<String, String> {
    let wanted = |id: &str| items.iter().any(|record| record.user.as_deref() == Some(id));
    let people = visit.http.door.control().ports.reader.vault.people().await.unwrap_or_default();
    let known = people.into_iter().filter(|person| visit.is_staff() || person.account == visit.principal.account);
    let known = known.filter(|person| wanted(person.id.as_str()));
    known.map(|person| (person.id.to_string(), visible(person.email.as_str()))).collect()
}

/// Where a subject is shown.
fn place(subject: &str, visit: &Visit) -> Option<String> {
    let page = match subject.split_once('_')?.0 {
        "vm" => "vms",
        "acc" if visit.is_staff() => "accounts",
        "key" if visit.is_staff() => "credentials",
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
            told.map(|(name, value)| (visible(name), plain(value))).collect()
        }
        other => vec![("message".to_owned(), plain(other))],
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{} {}", visible(name), plain(value))).collect::<Vec<_>>().join(", ")
        }
        other => visible(&other.as_str().map_or_else(|| other.to_string(), str::to_owned)),
    }
}
