//! `account_set`: settings of an account that only a person of the staff changes.

use serde::Deserialize;
use serde_json::json;

use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::grant::not_for_customers;
use crate::core::id::AccountId;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::tools::outcome::Answer;
use crate::tools::record::{Record, record};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, flag, id};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::control("account_set", Some(Scope::StaffTokens));

pub(super) fn tool() -> Tool {
    let input = Shape::new()
        .must("account", Public, id("acc", "The account."))
        .must("agents_may_enable_exec", Public, flag("Keys of the account may turn command execution on for its VMs."))
        .keyed();
    let output = Shape::new().must("account", Public, any("string", "The account.")).must(
        "agents_may_enable_exec",
        Public,
        any("boolean", "As it is now."),
    );
    let face = Face {
        title: "Set up an account",
        description: "Says that keys of an account may not turn command execution on. That they may is said with `forelog account set`.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(set))
}

#[derive(Deserialize)]
struct Args {
    account: AccountId,
    agents_may_enable_exec: bool,
}

async fn set(execution: Execution) -> Answer {
    let Args { account, agents_may_enable_exec } = execution.arguments()?;
    // It lets a customer's own keys do more, so it is not for the staff to say; that they may not is.
    if agents_may_enable_exec {
        return Err(not_for_customers("do not allow a customer's keys what the customer has not allowed them").into());
    }
    let kind = Kind::AccountChanged { account: account.clone(), agents_may_enable_exec };
    let wanted = account.clone();
    let change = Record::plain(&execution, kind);
    record(&execution, vec![change], move |state| {
        let absent = !state.accounts.contains_key(&wanted);
        absent.then(|| Refusal::new(Code::NotFound, "There is no such account."))
    })
    .await?;
    Ok(json!({ "account": account, "agents_may_enable_exec": agents_may_enable_exec }))
}
