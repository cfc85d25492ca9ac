//! Events outside of calls as they are listed: each a sentence, with links to what it is about, what was said, and what it changed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::address::encoded;
use super::changes::{Change, change};
use super::format::{DisplayTime, escape_hidden, format_approximate};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::sentence::{Names, Reader, reader, sentence};
use super::who::{account_names, emails, key_name, operator, person_of};
use crate::core::event::EventKind;
use crate::core::id::{SwitchId, UserId};
use crate::core::state::ControlState;
use crate::core::switch::Target;
use crate::core::time::Micros;
use crate::core::visibility::STAFF;
use crate::tools::{AdministrationQuery, AdministrationRecord};

/// An event in a list.
pub struct Row {
    /// When.
    pub at: DisplayTime,
    /// What happened, in a sentence.
    pub sentence: String,
    /// For how long, of a switch that has ended.
    pub length: Option<String>,
    /// The account that it affects, for staff: its id and its name.
    pub account: Option<(String, String)>,
    /// Where what it is about is shown, and what that is.
    pub place: Option<(String, String)>,
    /// What was said, by name.
    pub said: Vec<(String, String)>,
    /// What it changed.
    pub change: Option<Change>,
    /// Who read the log, if that is what happened.
    pub reader: Option<Reader>,
    /// The rows that this one stands for, newest first.
    pub folded: Vec<Row>,
}

/// So many readings in a row are one row.
const FOLDED: usize = 3;

/// When switches were engaged, and what they stop.
type Engagements = BTreeMap<SwitchId, (Micros, Target)>;

/// Events as they are listed.
pub async fn rows(items: &[AdministrationRecord], request: &SignedInRequest) -> Result<Vec<Row>, PageError> {
    let (now, state) = (request.http.gateway.control().ports.clock.now(), request.http.gateway.state());
    let accounts = account_names(request, items.iter().filter_map(|record| record.account.as_ref()?.parse().ok())).await;
    let people = emails(request, &people_in(items, &state)).await?;
    let engaged = engagements(items, request).await?;
    let targets = engaged.iter().map(|(id, (_, target))| (id.clone(), target.clone())).collect();
    let visibility = request.visibility();
    let names = Names { state: &state, people: &people, accounts: &accounts, visibility: &visibility, targets: &targets };
    let mut rows = Vec::new();
    for record in items {
        let ended = record.subject.as_ref().filter(|_| is_end(&record.kind)).and_then(|id| engaged.get(&id.parse().ok()?));
        // The account has a link of its own.
        let own = record.account.as_ref().and_then(|id| accounts.get(id));
        let (sentence, reader) = told(record, &names);
        rows.push(Row {
            at: DisplayTime::of(record.at, now),
            sentence,
            reader,
            folded: Vec::new(),
            length: ended.map(|(since, _)| format_approximate(record.at.since(*since))),
            account: record.account.clone().filter(|_| request.is_staff()).map(|id| {
                let name = accounts.get(&id).cloned();
                (id.clone(), name.unwrap_or(id))
            }),
            place: record
                .subject
                .as_ref()
                .and_then(|subject| place(subject, request, &names))
                .filter(|(_, text)| own != Some(text)),
            said: said(&record.note),
            change: change(record, request).await?,
        });
    }
    Ok(rows)
}

/// The same, with neighbours that tell of one reader and one account as a row that unfolds.
pub fn folded(rows: Vec<Row>) -> Vec<Row> {
    let mut folded = Vec::new();
    let mut rest = rows.into_iter().peekable();
    while let Some(row) = rest.next() {
        let reader = row.reader.clone();
        let mut run = vec![row];
        while let Some(next) = rest.next_if(|next| reader.is_some() && next.reader == reader) {
            run.push(next);
        }
        match reader {
            Some(reader) if run.len() >= FOLDED => folded.push(over(run, &reader)),
            _ => folded.extend(run),
        }
    }
    folded
}

/// One row for all of these.
fn over(run: Vec<Row>, Reader { who, whose }: &Reader) -> Row {
    let newest = run.first();
    Row {
        at: newest.map(|row| row.at.clone()).unwrap_or_default(),
        sentence: format!("{who} read the log of {whose} {} times", run.len()),
        length: None,
        account: newest.and_then(|row| row.account.clone()),
        place: None,
        said: Vec::new(),
        change: None,
        reader: None,
        folded: run,
    }
}

/// What a record says, as a sentence about whoever did it as far as they may be named; and who that is, if they read the log.
fn told(record: &AdministrationRecord, names: &Names<'_>) -> (String, Option<Reader>) {
    if let Some(operator) = operator(&record.note) {
        return (format!("{}, {operator}", sentence(&record.event, None, names)), None);
    }
    let agent = match &record.event {
        EventKind::SwitchEngaged { by: None, credential: Some(key), .. } => {
            let user = person_of(key, names.state).map(|user| named(user.as_ref(), names));
            Some(user.unwrap_or_else(|| "An agent".to_owned()))
        }
        _ => None,
    };
    let who = record.user.as_ref().map(|user| named(user, names)).or(agent);
    (sentence(&record.event, who.as_deref(), names), reader(&record.event, who.as_deref(), names))
}

fn named(user: &str, names: &Names<'_>) -> String {
    if user == STAFF {
        return "Your provider's staff".into();
    }
    names.people.get(user).cloned().unwrap_or_else(|| "Somebody who is not here any more".into())
}

fn is_end(kind: &str) -> bool {
    matches!(kind, "switch_released" | "switch_expired")
}

/// When the switches were engaged whose release or end is listed, and what they stop.
async fn engagements(items: &[AdministrationRecord], request: &SignedInRequest) -> Result<Engagements, PageError> {
    let ports = &request.http.gateway.control().ports;
    let speaks = |record: &&AdministrationRecord| is_end(&record.kind) || record.kind.starts_with("release_");
    let wanted: BTreeSet<&String> = items.iter().filter(speaks).filter_map(|record| record.subject.as_ref()).collect();
    let mut found = BTreeMap::new();
    for switch in wanted {
        let visibility = request.visibility();
        let (kind, concerns) = (Some("switch_engaged".to_owned()), visibility.concerns(&request.http.gateway.state()));
        let subject = Some(switch.clone());
        let query = AdministrationQuery { visibility, concerns, kind, subject, limit: 1, ..AdministrationQuery::default() };
        let Some(engaged) = ports.activity.administration(query).await?.items.pop() else { continue };
        if let EventKind::SwitchEngaged { switch, target, .. } = engaged.event {
            found.insert(switch, (engaged.at, target));
        }
    }
    Ok(found)
}

/// The people whom rows can name: by an id in the event, or by a credential in it that acts for them.
fn people_in(items: &[AdministrationRecord], state: &ControlState) -> BTreeSet<UserId> {
    let mut people: BTreeSet<UserId> = items.iter().filter_map(|record| record.user.as_ref()?.parse().ok()).collect();
    for record in items {
        for_each_text(&json!(record.event), &mut |text| {
            let acts_for = || person_of(&text.parse().ok()?, state).cloned();
            people.extend(text.parse().ok().or_else(acts_for));
        });
    }
    people
}

fn for_each_text(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(items) => items.iter().for_each(|item| for_each_text(item, take)),
        Value::Object(fields) => fields.values().for_each(|field| for_each_text(field, take)),
        _ => {}
    }
}

/// Where a subject is shown, and what it is called.
fn place(subject: &str, request: &SignedInRequest, names: &Names<'_>) -> Option<(String, String)> {
    let at = |page: &str, id: &str, text: Option<String>, unnamed: &str| {
        Some((format!("/console/{page}/{}", encoded(id)), text.unwrap_or_else(|| unnamed.to_owned())))
    };
    let vm = |id: &str| {
        let found = id.parse().ok().and_then(|id| names.state.vms.get(&id)).filter(|vm| names.visibility.vm(vm));
        found.map(|vm| escape_hidden(&vm.label))
    };
    let account = |id: &str| names.accounts.get(id).cloned();
    if let Some((what, id)) = subject.split_once('/') {
        // What the staff read.
        return match what {
            "calls" if id.starts_with("call_") => at("calls", id, None, "The call"),
            "vms" => at("vms", id, vm(id), "The VM"),
            "accounts" if request.is_staff() => at("accounts", id, account(id), "The account"),
            _ => None,
        };
    }
    match subject.split_once('_')?.0 {
        "vm" => at("vms", subject, vm(subject), "The VM"),
        "acc" if request.is_staff() => at("accounts", subject, account(subject), "The account"),
        "key" if request.is_staff() => {
            let found = subject.parse().ok().and_then(|id| names.state.credentials.get(&id));
            at("credentials", subject, found.map(key_name), "The key")
        }
        "swi" => Some((format!("/console/events?subject={}", encoded(subject)), "Events of this switch".into())),
        _ => None,
    }
}

/// What was said: the fields of a note that have a value. Who sat at the data is part of the sentence.
fn said(note: &Value) -> Vec<(String, String)> {
    match note {
        Value::Null => Vec::new(),
        Value::Object(fields) => {
            let told = fields.iter().filter(|(name, value)| !value.is_null() && *value != "" && *name != "operator");
            told.map(|(name, value)| (escape_hidden(name), plain(value))).collect()
        }
        other => vec![("message".to_owned(), plain(other))],
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let told = fields.iter().filter(|(_, value)| !value.is_null());
            told.map(|(name, value)| format!("{} {}", escape_hidden(name), plain(value))).collect::<Vec<_>>().join(", ")
        }
        other => escape_hidden(&other.as_str().map_or_else(|| other.to_string(), str::to_owned)),
    }
}
