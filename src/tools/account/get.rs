//! `account_get`: what the caller's key is and may do, and what is left of its limits.

use schemars::JsonSchema;
use serde::Serialize;

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::id::{AccountId, CredentialId, VmId};
use crate::core::limit::{Limit, Window};
use crate::core::limit_keys::write_key;
use crate::core::lineage::limit_key;
use crate::core::principal::Side;
use crate::core::redact::Sensitivity::{Content, Pii, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::{Scope, ScopeSet};
use crate::core::time::Micros;
use crate::log::decision_inputs::limit_row;
use crate::tools::Execution;
use crate::tools::declare::{Nothing, Operation, reading};
use crate::tools::instant::Instant;

pub(super) static GET: Operation<Nothing, Output> = reading("account_get")
    .scope(Scope::AccountRead)
    .title("Account")
    .about("Shows the account, the key in use with its scopes and VMs, and what is left of the limits.")
    .run(|execution, _| Box::pin(get(execution)));

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The account.
    #[schemars(extend("x-class" = Public))]
    account_id: AccountId,
    /// Its name.
    #[schemars(extend("x-class" = Pii))]
    name: Option<String>,
    /// customer or staff.
    #[schemars(extend("x-class" = Public))]
    side: Side,
    /// A key may turn command execution on for a VM.
    #[schemars(extend("x-class" = Public))]
    agents_may_enable_exec: bool,
    /// The key of this call.
    #[schemars(extend("x-class" = Content))]
    credential: Key,
    /// What may be called how often, and when the next call fits if the limit is reached.
    #[schemars(extend("x-class" = Public))]
    limits: Vec<Left>,
}

#[derive(Serialize, JsonSchema)]
struct Key {
    /// Its id.
    id: CredentialId,
    /// The start of the key.
    prefix: String,
    /// Its name for people.
    label: String,
    /// What it may do at most.
    #[schemars(with = "Vec<String>")]
    scopes: ScopeSet,
    /// The VMs it may touch; all of the account's if null.
    vms: Option<Vec<VmId>>,
    /// It only reads.
    read_only: bool,
    /// When it ends.
    expires_at: Option<Instant>,
}

/// A limit, and what is left of it where that is known.
#[derive(Serialize, JsonSchema)]
struct Left {
    /// What is counted: calls, writes or commands_per_vm.
    limit: &'static str,
    /// At most so many.
    admit: u32,
    /// In any window of this length.
    window_ms: u32,
    #[serde(flatten)]
    now: Option<Now>,
}

/// How a limit stands.
#[derive(Serialize, JsonSchema)]
struct Now {
    /// So many count now.
    used: usize,
    /// When the next one fits; null if one fits now.
    retry_after_ms: Option<u64>,
}

async fn get(execution: Execution) -> Result<Output, Outcome> {
    let (who, state) = (&execution.principal, execution.state());
    let absent = || Refusal::new(Code::NotFound, "There is no such account.");
    let account = state.accounts.get(&who.account).ok_or_else(absent)?;
    let key = state.credentials.get(&who.credential).ok_or_else(absent)?;
    let name = execution.ports.reader.vault.account_name(&who.account).await?;
    let limits = limits(&execution, state.counted_as(&who.credential), key.created.limit).await?;
    Ok(Output {
        account_id: account.id.clone(),
        name,
        side: account.side,
        agents_may_enable_exec: account.agents_may_enable_exec,
        credential: Key {
            id: key.created.credential.clone(),
            prefix: key.created.prefix.to_string(),
            label: key.label.clone(),
            scopes: key.created.scopes.clone(),
            vms: key.created.vms.clone(),
            read_only: key.created.read_only || who.read_only,
            expires_at: key.created.expires_at.map(Instant),
        },
        limits,
    })
}

async fn limits(execution: &Execution, key: &CredentialId, own: Option<Limit>) -> Result<Vec<Left>, Outcome> {
    let (who, defaults) = (&execution.principal, execution.ports.terms().limits);
    let counted = [
        ("calls", limit_row(&limit_key(key)), own.unwrap_or(defaults.credential)),
        ("writes", limit_row(&write_key(&who.account)), defaults.write),
    ];
    let names: Vec<String> = counted.iter().map(|(_, name, _)| name.clone()).collect();
    let rows = execution.ports.reader.store.state_rows(&names).await?;
    let now = execution.ports.fence().state().in_log(execution.ports.clock.now());
    let mut shown = Vec::new();
    for (what, name, limit) in counted {
        let row = rows.iter().find(|row| row.name == name);
        let window = row.map_or(Ok(Window::default()), |row| Window::decode(&row.doc));
        let window = window.map_err(|_| Refusal::new(Code::ControlStateUnreadable, "A limit cannot be read."))?;
        shown.push(left(what, limit, &window, now));
    }
    let Limit { admit, window_ms } = defaults.exec;
    shown.push(Left { limit: "commands_per_vm", admit, window_ms, now: None });
    Ok(shown)
}

fn left(what: &'static str, limit: Limit, window: &Window, now: Micros) -> Left {
    let after = window.full_for(limit, now).map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
    let Limit { admit, window_ms } = limit;
    Left { limit: what, admit, window_ms, now: Some(Now { used: window.used(limit, now), retry_after_ms: after }) }
}
