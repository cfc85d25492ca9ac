//! People: invited, listed, given a role, removed, and their sessions ended. Hidden from MCP, and closed to every key that was
//! not given a right over people by name: whoever may invite somebody could invite itself.
//!
//! INVARIANT: an account is never left without somebody who administers it, and nobody changes their own role or removes themselves. What a person
//! acts with ends in the transaction that takes their right away.

mod invitations;
mod invite;
mod list;
mod remove;
mod sessions;
mod set_role;

use super::Execution;
use super::declare::Declared;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::user::absent;
use crate::core::grant::may_manage;
use crate::core::id::{AccountId, UserId};
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::state::ControlState;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[
    &invite::INVITE,
    &list::LIST,
    &set_role::SET_ROLE,
    &remove::REMOVE,
    &invitations::LIST,
    &invitations::REVOKE,
    &sessions::LIST,
    &sessions::END,
];

/// The account that is named, or the caller's own, if they may. One that they may not, and one that is not there, look the
/// same (P9).
fn account_of(
    execution: &Execution,
    state: &ControlState,
    named: Option<AccountId>,
    may: fn(&ControlState, &Principal, &AccountId) -> bool,
) -> Result<AccountId, Refusal> {
    let account = named.unwrap_or_else(|| execution.principal.account.clone());
    let known = state.accounts.contains_key(&account) && may(state, &execution.principal, &account);
    if known { Ok(account) } else { Err(Refusal::new(Code::NotFound, "There is no such account.")) }
}

/// The account of a person whom the caller may manage.
async fn managed(execution: &Execution, state: &ControlState, id: &UserId) -> Result<AccountId, Outcome> {
    let person = execution.ports.reader.vault.user(id).await?;
    let managed = person.filter(|person| may_manage(state, &execution.principal, &person.account));
    Ok(managed.ok_or_else(absent)?.account)
}
