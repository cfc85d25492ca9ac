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
use crate::core::grant::not_for_customers;
use crate::core::id::{AccountId, UserId};
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::scope::Scope;
use crate::core::state::ControlState;
use crate::log::people::Person;

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

/// Whether the caller has one of these scopes for an account: staff for every one, customers for their own. A key that is
/// confined to some VMs or networks has not.
fn may(execution: &Execution, state: &ControlState, account: &AccountId, customer: Scope, staff: Scope) -> bool {
    let who = &execution.principal;
    let Some(own) = state.credentials.get(&who.credential) else { return false };
    match who.side {
        Side::Staff => own.created.scopes.contains(&staff),
        Side::Customer => {
            let is_confined = own.created.vms.is_some() || own.ips.is_some();
            *account == who.account && !is_confined && own.created.scopes.contains(&customer)
        }
    }
}

/// Whether the caller may say who an account's people are.
fn may_manage(execution: &Execution, state: &ControlState, account: &AccountId) -> bool {
    may(execution, state, account, Scope::PeopleWrite, Scope::StaffPeople)
}

/// Refuses staff who would let themselves, or whoever they like, into a customer's account.
fn check_not_let_in(execution: &Execution, state: &ControlState, account: &AccountId) -> Result<(), Refusal> {
    let of_customer = state.accounts.get(account).is_none_or(|row| row.side == Side::Customer);
    if execution.principal.side == Side::Staff && of_customer {
        return Err(not_for_customers("neither invite anybody into a customer's account nor give roles there"));
    }
    Ok(())
}

/// Whether the caller may know who they are.
fn may_see(execution: &Execution, state: &ControlState, account: &AccountId) -> bool {
    may(execution, state, account, Scope::PeopleRead, Scope::StaffAudit) || may_manage(execution, state, account)
}

/// The account that is named, or the caller's own, if they may. One that they may not, and one that is not there, look the
/// same (P9).
fn account_of(
    execution: &Execution,
    state: &ControlState,
    named: Option<AccountId>,
    may: fn(&Execution, &ControlState, &AccountId) -> bool,
) -> Result<AccountId, Refusal> {
    let account = named.unwrap_or_else(|| execution.principal.account.clone());
    let known = state.accounts.contains_key(&account) && may(execution, state, &account);
    if known { Ok(account) } else { Err(Refusal::new(Code::NotFound, "There is no such account.")) }
}

/// A person whom the caller may manage, and everybody of the same account.
async fn managed(execution: &Execution, state: &ControlState, id: &UserId) -> Result<(Person, Vec<Person>), Outcome> {
    let vault = &execution.ports.reader.vault;
    let found = vault.person(id).await?.filter(|person| may_manage(execution, state, &person.account));
    let person = found.ok_or_else(absent)?;
    let same = vault.people_of(&person.account).await?;
    Ok((person, same))
}

fn absent() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such person.")
}

/// Refuses to leave an account without anybody who administers it.
fn check_someone_is_left(people: &[Person], without: &UserId, state: &ControlState) -> Result<(), Refusal> {
    let stays = |person: &Person| person.id != *without && person.acting_role_in(state).is_some_and(Role::administers);
    if people.iter().any(stays) {
        return Ok(());
    }
    let text = "Somebody has to be left who administers the account. Give another person the role first.";
    Err(Refusal::new(Code::Conflict, text))
}
