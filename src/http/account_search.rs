//! Accounts found by their name, an e-mail address of their people, or a VM; for the API and the console. For the staff.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::Http;
use crate::core::id::AccountId;
use crate::core::principal::{Principal, Side};
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::state::{Account, ControlState, Credential};
use crate::core::time::Micros;

/// Accounts in one answer; who looks for another one gives a part of its name.
pub const MAX_LISTED: usize = 100;

/// The longest text that is looked for, in characters.
pub const LONGEST: usize = 256;

/// Accounts that were found.
#[derive(Serialize, JsonSchema)]
pub struct FoundAccounts {
    /// The accounts, by name, customers first; 100 at most.
    pub items: Vec<FoundAccount>,
    /// How many more there are. A longer text finds them.
    pub more: usize,
}

/// An account in a list.
#[derive(Serialize, JsonSchema)]
pub struct FoundAccount {
    /// The account.
    pub id: AccountId,
    /// customer or staff.
    pub side: Side,
    /// Its name.
    pub name: Option<String>,
    /// How many VMs it has.
    pub vms: usize,
    /// How many people it has.
    pub people: usize,
    /// How many keys it has that are not revoked.
    pub keys: usize,
    /// How many switches in force touch it.
    pub switches: usize,
}

/// The accounts that have a text in their id, their name or a VM of theirs, or that the person with this e-mail address belongs to;
/// every account for an empty text. Written down with the reason before it is looked for, once while the same is asked again and again.
pub async fn find(http: &Http, who: &Principal, q: &str, reason: Option<&str>) -> Result<FoundAccounts, Refusal> {
    let mut asked = json!({ "q": q });
    if let Some(reason) = reason {
        asked["reason"] = json!(reason);
    }
    http.questions.check(&http.gateway, who, Reading::Accounts, asked).await?;
    let ports = &http.gateway.control().ports;
    let vault = &ports.reader.vault;
    let (state, now) = (http.gateway.state(), ports.clock.now());
    let names = http.account_names.get(vault, state.accounts.len(), now).await?;
    let people = if q.is_empty() { Vec::new() } else { vault.users_with_email(q).await? };
    let by_email: BTreeSet<AccountId> =
        people.into_iter().filter(|person| person.role_in(&state).is_some()).map(|person| person.account).collect();
    let wanted = q.to_lowercase();
    let is_found =
        |account: &&Account| by_email.contains(&account.id) || has(&account.id, names.get(account.id.as_str()), &wanted, &state);
    let mut found: Vec<&Account> = state.accounts.values().filter(is_found).collect();
    found.sort_by_cached_key(|account| {
        let name = names.get(account.id.as_str()).map(|name| name.to_lowercase());
        (account.side == Side::Staff, name, account.id.clone())
    });
    let more = found.len().saturating_sub(MAX_LISTED);
    found.truncate(MAX_LISTED);
    let items = found.into_iter().map(|account| row(account, names.get(account.id.as_str()).cloned(), &state, now)).collect();
    Ok(FoundAccounts { items, more })
}

/// Whether an account has a text, in small letters, in what it is found by.
fn has(id: &AccountId, name: Option<&String>, wanted: &str, state: &ControlState) -> bool {
    let has = |text: &str| text.to_lowercase().contains(wanted);
    has(id.as_str())
        || name.is_some_and(|name| has(name))
        || state.vms_of(id).any(|vm| has(&vm.label) || has(vm.id.as_str()) || has(&vm.machine))
}

fn row(account: &Account, name: Option<String>, state: &ControlState, now: Micros) -> FoundAccount {
    let is_key = |row: &&Credential| row.revoked_at.is_none() && row.created.role.is_none();
    let id = &account.id;
    FoundAccount {
        side: account.side,
        name,
        vms: state.vms_of(id).count(),
        people: state.users_of(id).filter(|user| user.role.is_some()).count(),
        keys: state.keys_of(id).filter(is_key).count(),
        switches: state.switches_touching(id, now).count(),
        id: id.clone(),
    }
}
