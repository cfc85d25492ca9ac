//! What a name on the command line means: an id, or a label, name or e-mail address that only one thing has.
//!
//! INVARIANT: nothing is guessed. A name of several things is refused with all of them, ended ones of other accounts included; so is
//! that of an account whose name looks like another's;
//! and an e-mail address names only who proved it, so nobody takes over or spoils a command by inviting it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;

use super::{CliError, Context};
use crate::app::local_admin::{LocalAdmin, LocalAdminError};
use crate::core::email::EmailAddress;
use crate::core::id::{AccountId, CredentialId, UserId, VmId};
use crate::core::label::looks_like;
use crate::core::lineage::alive;
use crate::core::near::{did_you_mean, near};
use crate::core::resource::ResourceId;
use crate::core::switch::{Target, UnknownTarget};

/// An id or a name, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

impl FromStr for Name {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

/// The target of a switch, as it was typed.
#[derive(Clone, Debug)]
pub enum TargetName {
    /// By what it is.
    Exact(Target),
    /// A VM by its label.
    Vm { label: String, exec_only: bool },
    /// An account by its name, or by the address of somebody in it.
    Account(Name),
    /// A key by its label.
    Credential(Name),
}

impl FromStr for TargetName {
    type Err = UnknownTarget;
    fn from_str(text: &str) -> Result<Self, UnknownTarget> {
        let unknown = match text.parse() {
            Ok(target) => return Ok(Self::Exact(target)),
            Err(unknown) => unknown,
        };
        let Some((kind, name)) = text.split_once(':') else { return Err(unknown) };
        let kind = kind.trim().to_ascii_lowercase();
        if matches!(kind.as_str(), "vm" | "account" | "credential") && name.trim().is_empty() {
            return Err(UnknownTarget {
                why: format!("Write its id or name behind the colon, such as {kind}:{}.", example(&kind)),
                ..unknown
            });
        }
        match kind.as_str() {
            "vm" => {
                let (label, exec_only) = name.strip_suffix("/exec").map_or((name, false), |label| (label, true));
                if let Some((label, _)) = label.rsplit_once('/').filter(|(_, part)| !near(part, ["exec"]).is_empty()) {
                    return Err(UnknownTarget { why: format!("Did you mean vm:{label}/exec?"), ..unknown });
                }
                Ok(Self::Vm { label: label.trim().to_owned(), exec_only })
            }
            "account" => Ok(Self::Account(Name(name.trim().to_owned()))),
            "credential" => Ok(Self::Credential(Name(name.trim().to_owned()))),
            _ => Err(unknown),
        }
    }
}

/// A name of this kind, as somebody would type it.
fn example(kind: &str) -> &'static str {
    match kind {
        "vm" => "web-1",
        "account" => "'Example Ltd'",
        _ => "laptop",
    }
}

/// An account by its id, its name, or the e-mail address of somebody in it. Data is opened only for a name.
pub async fn account_of(context: &Context, name: &Name) -> Result<AccountId, CliError> {
    match name.0.parse() {
        Ok(id) => Ok(id),
        Err(_) => account(&context.local_admin_to_read_all().await?, name).await,
    }
}

/// The same on data that is open.
pub async fn account(local_admin: &LocalAdmin, Name(name): &Name) -> Result<AccountId, CliError> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    if let Some(why) = &local_admin.without_vault {
        return Err(CliError::Usage(format!(
            "the names of accounts are in the vault, which cannot be used ({why}): give the id"
        )));
    }
    let (state, vault) = (local_admin.state().await?, &local_admin.rooms.vault);
    let mut found = BTreeMap::new();
    let names = vault.account_names().await.map_err(LocalAdminError::from)?;
    let known = || names.values().map(String::as_str);
    for id in state.accounts.values().map(|account| &account.id) {
        if let Some(own) = names.get(id.as_str()).filter(|own| looks_like(own, name)) {
            found.insert(id.clone(), own.clone());
        }
    }
    // One that only looks like the name that was typed is another one; beside the one of that name it may be the one that is meant.
    if !found.values().any(|own| own == name) {
        found.clear();
    }
    let Ok(email) = name.parse::<EmailAddress>() else { return one("account", name, found, known()) };
    let mut people = vault.users_with(&email).await.map_err(LocalAdminError::from)?;
    people.retain(|person| person.role_in(&state).is_some());
    match people.iter().find(|person| person.proved) {
        Some(person) => found.insert(person.account.clone(), name.clone()),
        None if people.is_empty() => None,
        None => return Err(unproved(local_admin, name, people.into_iter().map(|person| person.account)).await),
    };
    one("account", name, found, known())
}

/// Nobody has shown that the address is theirs: whoever invited it may be a stranger to the one who is meant.
async fn unproved(local_admin: &LocalAdmin, email: &str, accounts: impl Iterator<Item = AccountId>) -> CliError {
    let mut listed = Vec::new();
    for account in accounts {
        listed.push(display_account(local_admin, &account).await);
    }
    let listed = listed.join(" and ");
    CliError::Usage(format!(
        "nobody has proved that {email:?} is theirs; it is in {listed}: give the id of the account that you mean"
    ))
}

/// An account for people: its id, and its name where the vault tells it.
pub async fn display_account(local_admin: &LocalAdmin, account: &AccountId) -> String {
    if local_admin.without_vault.is_some() {
        return account.to_string();
    }
    match local_admin.rooms.vault.account_name(account).await {
        Ok(Some(name)) => format!("{account}, {name:?}"),
        _ => account.to_string(),
    }
}

/// A person of an account by id or e-mail address.
pub async fn user(local_admin: &LocalAdmin, account: &AccountId, Name(name): &Name) -> Result<UserId, CliError> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let (state, email) = (local_admin.state().await?, name.parse::<EmailAddress>().ok());
    let people = local_admin.rooms.vault.users_of(account).await.map_err(LocalAdminError::from)?;
    let own: Vec<_> = people.into_iter().filter(|person| person.role_in(&state).is_some()).collect();
    let found = own.iter().filter(|person| Some(&person.email) == email.as_ref());
    let found = found.map(|person| (person.id.clone(), name.clone())).collect();
    one("person", name, found, own.iter().map(|person| person.email.as_str()))
}

/// A VM by id or label; with an account, only one of its own.
pub async fn vm(local_admin: &LocalAdmin, account: Option<&AccountId>, Name(name): &Name) -> Result<VmId, CliError> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let (state, mut found) = (local_admin.state().await?, BTreeMap::new());
    let own = state.vms.values().filter(|vm| vm.label == *name && account.is_none_or(|account| vm.account == *account));
    for vm in own {
        found.insert(vm.id.clone(), format!("of {}", display_account(local_admin, &vm.account).await));
    }
    let known = state.vms.values().filter(|vm| account.is_none_or(|account| vm.account == *account));
    one("vm", name, found, known.map(|vm| vm.label.as_str()))
}

/// A key by id or label. One that was revoked is meant only if no other has the label; it counts beside the keys of other
/// accounts, because whoever says its label may mean it.
pub async fn key(local_admin: &LocalAdmin, Name(name): &Name) -> Result<CredentialId, CliError> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let (state, now, mut found) = (local_admin.state().await?, local_admin.clock.now(), BTreeMap::new());
    let mut own: Vec<_> = state.credentials.values().filter(|row| row.label == *name && row.created.role.is_none()).collect();
    let is_of_one = own.windows(2).all(|pair| pair[0].created.account == pair[1].created.account);
    if is_of_one && own.iter().any(|row| row.revoked_at.is_none()) {
        own.retain(|row| row.revoked_at.is_none());
    }
    for row in own {
        let id = &row.created.credential;
        let stands = if alive(&state, id, now).is_ok() { "live" } else { "ended" };
        let account = display_account(local_admin, &row.created.account).await;
        found.insert(id.clone(), format!("of {account}, {stands}"));
    }
    let known = state.credentials.values().filter(|row| row.created.role.is_none());
    one("key", name, found, known.map(|row| row.label.as_str()))
}

/// Whose it is that was named, as an answer ends, so that whoever stops it sees whether it is what they meant.
pub async fn whose(local_admin: &LocalAdmin, account: Option<&AccountId>) -> String {
    match account {
        Some(account) => format!(" (of {})", display_account(local_admin, account).await),
        None => String::new(),
    }
}

/// What a switch is to stop.
pub async fn target(local_admin: &LocalAdmin, name: TargetName) -> Result<Target, CliError> {
    Ok(match name {
        TargetName::Exact(target) => target,
        TargetName::Account(name) => Target::Account(account(local_admin, &name).await?),
        TargetName::Credential(name) => Target::Credential(key(local_admin, &name).await?),
        TargetName::Vm { label, exec_only } => {
            let id = vm(local_admin, None, &Name(label)).await?;
            Target::Resource { id: ResourceId::from(&id), exec_only }
        }
    })
}

/// The only one of that name. If there is none, what is near among `known` is offered.
fn one<'a, I: Display>(
    kind: &str,
    name: &str,
    found: BTreeMap<I, String>,
    known: impl IntoIterator<Item = &'a str>,
) -> Result<I, CliError> {
    let listed: Vec<String> = found.iter().map(|(id, about)| format!("{id} ({about})")).collect();
    let mut ids = found.into_keys();
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => Err(CliError::Usage(format!(
            "{name:?} is the name of {}: give the id of the {} that you mean",
            listed.join(" and "),
            spoken(kind)
        ))),
        (None, _) => Err(absent(kind, name, known)),
    }
}

fn absent<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> CliError {
    let (none, list) = match kind {
        "person" => (format!("nobody of the account has the e-mail address {name:?}"), "account"),
        _ => (format!("there is no {} {name:?}", spoken(kind)), kind),
    };
    let known: BTreeSet<&str> = known.into_iter().collect();
    let meant = did_you_mean(name, known, |near| format!("{near:?}")).map_or_else(String::new, |meant| format!(" {meant}"));
    CliError::Usage(format!("{none}; `forelog {list} list` shows what is there.{meant}"))
}

/// A kind as a sentence has it; the command that lists it is written as it is typed.
fn spoken(kind: &str) -> &str {
    if kind == "vm" { "VM" } else { kind }
}
