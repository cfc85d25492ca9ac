//! `key_list`: keys, without their secrets.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::shown;
use crate::core::call::Outcome;
use crate::core::grant::may_administer;
use crate::core::id::AccountId;
use crate::core::job::Use;
use crate::core::lineage::alive;
use crate::core::principal::Side;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::scope::Scope;
use crate::core::state::Credential;
use crate::core::tool::ToolFacts;
use crate::log::facts::use_row;
use crate::tools::instant::render_maybe;
use crate::tools::outcome::Answer;
use crate::tools::record::fresh;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::stop(facts::or(
    facts::control("key_list", Some(Scope::KeysRead)),
    &[Scope::KeysWrite, Scope::StaffAudit, Scope::StaffTokens],
));

pub(super) fn tool() -> Tool {
    let input = Shape::new().may("account", Public, id("acc", "Only this account's; staff see all if absent."));
    let output = Shape::new().must("items", Content, any("array", "The keys, oldest first."));
    let face = Face { title: "List keys", description: "Lists keys with what they may do. The keys themselves are not kept." };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(list))
}

#[derive(Deserialize)]
struct Args {
    account: Option<AccountId>,
}

async fn list(execution: Execution) -> Answer {
    let Args { account } = execution.arguments()?;
    let state = fresh(&execution).await?;
    let only = match execution.principal.side {
        Side::Staff => account,
        Side::Customer => Some(account.unwrap_or_else(|| execution.principal.account.clone())),
    };
    let administers = |owner: &AccountId| may_administer(&state, &execution.principal, owner);
    let listed: Vec<&Credential> = match &only {
        Some(only) if administers(only) => state.keys_of(only).collect(),
        Some(_) => Vec::new(),
        None => state.credentials.values().filter(|row| administers(&row.created.account)).collect(),
    };
    let counts = uses(&execution, &listed).await?;
    let with_use = |row: &Credential| {
        let mut item = shown(row);
        let used = counts.get(&use_row(&row.created.credential)).copied().unwrap_or_default();
        // Not whether it was used lately: that is said beside it.
        item["alive"] = json!(alive(&state, &row.created.credential, execution.ports.clock.now()).is_ok());
        item["uses"] = json!(used.count);
        item["last_used_at"] = render_maybe((used.count > 0).then_some(used.last));
        item
    };
    let items: Vec<Value> = listed.into_iter().map(with_use).collect();
    Ok(json!({ "items": items }))
}

/// How often each of these keys was used, by row name.
async fn uses(execution: &Execution, keys: &[&Credential]) -> Result<BTreeMap<String, Use>, Outcome> {
    let names: Vec<String> = keys.iter().map(|row| use_row(&row.created.credential)).collect();
    let rows = execution.ports.reader.store.state_rows(&names).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.name, serde_json::from_slice(&row.doc).ok()?))).collect())
}
