//! `key_list`: keys, without their secrets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shown;
use crate::core::call::Outcome;
use crate::core::grant::may_administer;
use crate::core::id::{AccountId, CredentialId};
use crate::core::job::Use;
use crate::core::lineage::alive;
use crate::core::principal::Side;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::core::state::Credential;
use crate::log::decision_inputs::use_row;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::page::{cut, largest};
use crate::tools::record::fresh;

pub(super) static LIST: Operation<Args, Output> = administration("key_list")
    .scope(Scope::KeysRead)
    .or(&[Scope::KeysWrite, Scope::StaffAudit, Scope::StaffTokens])
    .stops()
    .title("List keys")
    .about("Lists keys with what they may do. The keys themselves are not kept.")
    .rest(Route::get("/keys"))
    .run(|execution, args| Box::pin(list(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Only this account's; staff see all if absent.
    #[schemars(extend("x-class" = Public))]
    account: Option<AccountId>,
    /// At most so many.
    #[serde(default = "largest")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 200))]
    limit: usize,
    /// next_cursor of the page before.
    #[schemars(extend("x-class" = Public))]
    cursor: Option<CredentialId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The keys, newest first, those that ended included.
    items: Vec<Listed>,
    /// Where the next page begins, if there is one.
    #[schemars(extend("x-class" = Public))]
    next_cursor: Option<CredentialId>,
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    #[serde(flatten)]
    key: Shown,
    /// It works, whether it was used lately or not.
    #[schemars(extend("x-class" = Public))]
    alive: bool,
    /// How often it was used.
    #[schemars(extend("x-class" = Public))]
    uses: u64,
    /// When it was used last.
    #[schemars(extend("x-class" = Public))]
    last_used_at: Option<Instant>,
}

async fn list(execution: Execution, Args { account, limit, cursor }: Args) -> Result<Output, Outcome> {
    let state = fresh(&execution).await?;
    let only = match execution.principal.side {
        Side::Staff => account,
        Side::Customer => Some(account.unwrap_or_else(|| execution.principal.account.clone())),
    };
    let administers = |owner: &AccountId| may_administer(&state, &execution.principal, owner);
    let keys: Box<dyn DoubleEndedIterator<Item = &Credential> + Send> = match &only {
        Some(only) if administers(only) => Box::new(state.keys_of(only)),
        Some(_) => Box::new(std::iter::empty()),
        None => Box::new(state.credentials.values().filter(|row| administers(&row.created.account))),
    };
    let is_older = |row: &&Credential| cursor.as_ref().is_none_or(|cursor| row.created.credential < *cursor);
    let (listed, next_cursor) = cut(keys.rev().filter(is_older), |row| &row.created.credential, limit);
    let counts = uses(&execution, &listed).await?;
    let with_use = |row: &Credential| {
        let used = counts.get(&use_row(&row.created.credential)).copied().unwrap_or_default();
        Listed {
            key: row.into(),
            alive: alive(&state, &row.created.credential, execution.ports.clock.now()).is_ok(),
            uses: used.count,
            last_used_at: (used.count > 0).then_some(used.last.into()),
        }
    };
    Ok(Output { items: listed.into_iter().map(with_use).collect(), next_cursor })
}

/// How often each of these keys was used, by row name.
async fn uses(execution: &Execution, keys: &[&Credential]) -> Result<BTreeMap<String, Use>, Outcome> {
    let names: Vec<String> = keys.iter().map(|row| use_row(&row.created.credential)).collect();
    let rows = execution.ports.reader.store.state_rows(&names).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.name, serde_json::from_slice(&row.doc).ok()?))).collect())
}
