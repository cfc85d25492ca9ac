//! `account_set`: settings of an account that only a person of the staff changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::commands::account::{SetAccount, Setter};
use crate::core::id::AccountId;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, administration};
use crate::tools::record::change;

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
    let set = SetAccount { account: account.clone(), agents_may_enable_exec, by: Setter::Staff, event: None };
    change(&execution, None, set).await?;
    Ok(Output { account, agents_may_enable_exec })
}
