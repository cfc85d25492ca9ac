//! `account_set`: settings of an account that only a person of the staff changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::grant::not_for_customers;
use crate::core::id::AccountId;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, administration};
use crate::tools::record::{Record, record};

pub(super) static SET: Operation<Args, Output> = administration("account_set")
    .scope(Scope::StaffTokens)
    .title("Set up an account")
    .about("Says that keys of an account may not turn command execution on. That they may is said with `forelog account set`.")
    .run(|execution, args| Box::pin(set(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The account.
    #[schemars(extend("x-class" = Public))]
    account: AccountId,
    /// Keys of the account may turn command execution on for its VMs.
    #[schemars(extend("x-class" = Public))]
    agents_may_enable_exec: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The account.
    #[schemars(extend("x-class" = Public))]
    account: AccountId,
    /// As it is now.
    #[schemars(extend("x-class" = Public))]
    agents_may_enable_exec: bool,
}

async fn set(execution: Execution, args: Args) -> Result<Output, Outcome> {
    let Args { account, agents_may_enable_exec } = args;
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
    Ok(Output { account, agents_may_enable_exec })
}
