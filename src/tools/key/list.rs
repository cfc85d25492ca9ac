//! `key_list`: keys, without their secrets.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{may_administer, shown};
use crate::core::id::AccountId;
use crate::core::principal::Side;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::fresh;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::control("key_list", None);

pub(super) fn tool() -> Tool {
    let input = Shape::new().may("account", Public, id("acc", "Only this account's; staff see all if absent."));
    let output = Shape::new().must("items", Content, any("array", "The keys, oldest first."));
    let face = Face { title: "List keys", description: "Lists keys with what they may do. The keys themselves are not kept." };
    register::tool(&FACTS, face, input, output, handler!(list))
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
    let wanted = |owner: &AccountId| only.as_ref().is_none_or(|only| only == owner) && may_administer(&execution, &state, owner);
    let items: Vec<Value> = state.credentials.values().filter(|row| wanted(&row.created.account)).map(shown).collect();
    Ok(json!({ "items": items }))
}
