//! Who somebody is, as pages name them: one way for each deed, wherever it is shown.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::format::{escape_hidden, quoted};
use super::request::SignedInRequest;
use crate::core::event::EventKind;
use crate::core::id::{AccountId, CredentialId, UserId};
use crate::core::refusal::Refusal;
use crate::core::state::{ControlState, Credential};
use crate::core::switch::Switch;
use crate::tools::AdministrationRecord;

/// Signs at the end of an id that stand beside a name.
const END: usize = 6;

/// A key, always as one: its label may be the e-mail address of a person. What a person's sessions act with is called that.
pub fn key_name(row: &Credential) -> String {
    if row.created.role.is_some() { "a console session".to_owned() } else { format!("key {}", quoted(&row.label)) }
}

/// An account's name with the end of its id, which nobody chooses: names that look alike are of accounts that differ.
fn told_apart(id: &str, name: &str) -> String {
    let end = id.len().checked_sub(END).and_then(|from| id.get(from..)).unwrap_or(id);
    format!("{} (\u{2026}{end})", escape_hidden(name))
}

/// A person by e-mail address; the id if nobody knows it, and an agent or the command line if there is nobody.
pub async fn person(request: &SignedInRequest, user: Option<String>) -> String {
    let Some(user) = user else { return "an agent, or the command line".into() };
    let Ok(id) = user.parse() else { return user };
    let email = request.http.gateway.control().ports.reader.vault.email(&id).await.ok().flatten();
    email.map_or(user, |email| escape_hidden(&email))
}

/// An account by its name, where its id stands beside it; its id if it has none.
pub async fn account_name(request: &SignedInRequest, id: &AccountId) -> String {
    let name = request.http.gateway.control().ports.reader.vault.account_name(id).await.ok().flatten();
    name.map_or_else(|| id.to_string(), |name| escape_hidden(&name))
}

/// The names of accounts by id, each with the end of the id, for staff: a customer knows its own. What has no name is not among them.
pub async fn account_names(request: &SignedInRequest, ids: impl Iterator<Item = AccountId>) -> BTreeMap<String, String> {
    let ids = ids.filter(|_| request.is_staff()).collect();
    let names = request.http.gateway.control().ports.reader.vault.account_names_of(&ids).await;
    let names = names.inspect_err(|error| tracing::warn!(%error, "accounts are named by their ids")).unwrap_or_default();
    names.into_iter().map(|(id, name)| (id.clone(), told_apart(&id, &name))).collect()
}

/// The e-mail addresses of people by id, as far as whoever looks may know them: staff all, a customer its own. Who is gone is not
/// among them.
pub async fn emails(request: &SignedInRequest, people: &BTreeSet<UserId>) -> Result<BTreeMap<String, String>, Refusal> {
    let found = request.http.gateway.control().ports.reader.vault.users_by_id(people).await?;
    let known = found.into_iter().filter(|person| request.is_staff() || person.account == request.principal.account);
    Ok(known.map(|person| (person.id.to_string(), escape_hidden(person.email.as_str()))).collect())
}

/// Who did what an event about a switch says: a person, whoever sat at the data, or an agent.
pub async fn actor(request: &SignedInRequest, record: &AdministrationRecord) -> String {
    match operator(&record.note) {
        Some(operator) => operator,
        None if record.user.is_none() => {
            let state = request.http.gateway.state();
            match &record.event {
                EventKind::SwitchEngaged { credential: Some(key), .. } => by_credential(request, key, &state).await,
                _ => "an agent".into(),
            }
        }
        None => person(request, record.user.clone()).await,
    }
}

/// Who engaged a switch that is in force.
pub async fn engager(request: &SignedInRequest, switch: &Switch, state: &ControlState) -> String {
    match (&switch.by, &switch.credential) {
        (Some(user), _) => person(request, Some(user.to_string())).await,
        (None, Some(key)) => by_credential(request, key, state).await,
        (None, None) => "from the command line".into(),
    }
}

/// The person that a credential of the console acts for; none if it is a key.
pub fn person_of<'a>(credential: &CredentialId, state: &'a ControlState) -> Option<&'a UserId> {
    let row = state.credentials.get(credential).filter(|row| row.created.role.is_some())?;
    Some(&row.created.user)
}

async fn by_credential(request: &SignedInRequest, credential: &CredentialId, state: &ControlState) -> String {
    if let Some(user) = person_of(credential, state) {
        return person(request, Some(user.to_string())).await;
    }
    let key = state.credentials.get(credential).map(|row| format!(" with the {}", key_name(row)));
    format!("an agent{}", key.unwrap_or_default())
}

/// Whoever sat at the data when something was done from the command line, as the note of its event says.
pub fn operator(note: &Value) -> Option<String> {
    let said = |field: &str| note["operator"][field].as_str().unwrap_or("unknown");
    note["operator"].is_object().then(|| command_line(said("user"), said("host")))
}

/// The command line, with who sat at it and where.
pub fn command_line(user: &str, host: &str) -> String {
    format!("from the command line, by {} on host \u{201c}{}\u{201d}", escape_hidden(user), escape_hidden(host))
}
