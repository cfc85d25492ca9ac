//! Which rights a caller may give to a new key: none that the caller lacks, and only to an existing user.
//!
//! INVARIANT: the transaction that creates the key checks this, so a right that was just revoked can no longer be given. Pure.

use serde_json::json;

use super::code::Code;
use super::event::CredentialCreated;
use super::id::AccountId;
use super::lineage::check_length;
use super::principal::{Principal, Side};
use super::refusal::Refusal;
use super::scope::Scope;
use super::state::{ControlState, Credential};

/// What the caller acts with, if it is alive.
pub fn acting<'a>(state: &'a ControlState, who: &Principal) -> Result<&'a Credential, Refusal> {
    let own = state.credentials.get(&who.credential).filter(|row| row.revoked_at.is_none());
    own.filter(|row| !state.has_left(row)).ok_or_else(|| Refusal::new(Code::TokenRevoked, "The key was revoked."))
}

/// Whether the caller may administer keys of this account: staff of every one, customers of their own. A key that is itself
/// confined to some VMs or networks may not, or it would make itself one that is not. That it has the right to administer
/// keys at all was decided before.
#[must_use]
pub fn may_administer(state: &ControlState, who: &Principal, account: &AccountId) -> bool {
    let Ok(own) = acting(state, who) else { return false };
    let is_confined = own.created.vms.is_some() || own.ips.is_some();
    who.side == Side::Staff || (who.account == *account && !is_confined)
}

/// Whether the caller has one of these scopes for an account: staff for every one, customers for their own. A key that is
/// confined to some VMs or networks has not.
fn has_right(state: &ControlState, who: &Principal, account: &AccountId, customer: Scope, staff: Scope) -> bool {
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
#[must_use]
pub fn may_manage(state: &ControlState, who: &Principal, account: &AccountId) -> bool {
    has_right(state, who, account, Scope::PeopleWrite, Scope::StaffPeople)
}

/// Whether the caller may know who they are.
#[must_use]
pub fn may_see_people(state: &ControlState, who: &Principal, account: &AccountId) -> bool {
    has_right(state, who, account, Scope::PeopleRead, Scope::StaffAudit) || may_manage(state, who, account)
}

/// Refuses staff who would let themselves, or whoever they like, into a customer's account.
pub fn check_not_let_in(state: &ControlState, who: &Principal, account: &AccountId) -> Result<(), Refusal> {
    let of_customer = state.accounts.get(account).is_none_or(|row| row.side == Side::Customer);
    if who.side == Side::Staff && of_customer {
        return Err(not_for_customers("neither invite anybody into a customer's account nor give roles there"));
    }
    Ok(())
}

/// Whether whoever owns the data may put this key into the world: for one of the account's people, within their role.
pub fn check_on_data(state: &ControlState, made: &CredentialCreated) -> Result<(), Refusal> {
    if state.accounts.get(&made.account).is_none_or(|row| row.side != made.side) {
        return Err(Refusal::new(Code::NotFound, "There is no such account."));
    }
    check_holder(state, made)
}

/// Whether the caller may put this key into the world. A key that has no limit of its own has the usual one.
pub fn check(state: &ControlState, who: &Principal, made: &CredentialCreated) -> Result<(), Refusal> {
    let own = acting(state, who)?;
    if !state.accounts.contains_key(&made.account) || !may_administer(state, who, &made.account) {
        return Err(Refusal::new(Code::NotFound, "There is no such account."));
    }
    if who.account != made.account {
        return Err(not_for_customers("make no keys for customers"));
    }
    check_person(state, own, made)?;
    check_scopes(own, made)?;
    check_confines(own, who.read_only, made)?;
    if own.created.expires_at.is_some_and(|end| made.expires_at.is_none_or(|made| made > end)) {
        return Err(Refusal::new(Code::ForbiddenRole, "A key cannot make one that outlives it."));
    }
    // A person is not held to the window of the console.
    let usual = state.known_terms().limits.credential;
    let (may, gives) = (own.created.limit.unwrap_or(usual), made.limit.unwrap_or(usual));
    if !own.is_person() && !gives.is_within(may) {
        return Err(Refusal::new(Code::ForbiddenRole, "A key cannot make one that may be used more often."));
    }
    check_length(state, &who.credential, made.rotates.as_ref())
}

/// What staff are told who would let themselves into a customer's account.
#[must_use]
pub fn not_for_customers(what: &str) -> Refusal {
    Refusal::new(Code::ForbiddenRole, format!("Staff revoke and stop; they {what}."))
        .hint("The account's own people do that, or the operator on the data itself.")
}

/// A key is its maker's. Only somebody who is signed in gives one to another person of the account, and of the staff nobody
/// does: one person could act as the second one.
fn check_person(state: &ControlState, own: &Credential, made: &CredentialCreated) -> Result<(), Refusal> {
    if made.user == own.created.user {
        return Ok(());
    }
    if made.side == Side::Staff {
        return Err(Refusal::new(Code::ForbiddenRole, "A staff key is made by the person who holds it."));
    }
    if !own.is_person() {
        return Err(Refusal::new(Code::ForbiddenRole, "A key makes keys for the person whose it is, and for nobody else."));
    }
    check_holder(state, made)
}

/// A key is of one of the account's people, and does no more than their role.
fn check_holder(state: &ControlState, made: &CredentialCreated) -> Result<(), Refusal> {
    match state.users.get(&made.user) {
        Some(member) if member.account == made.account && member.acting_role().is_some() => {
            let may = member.acting_role().map(super::role::Role::scopes).unwrap_or_default();
            let beyond: Vec<&str> = made.scopes.difference(&may).map(|scope| scope.as_str()).collect();
            if beyond.is_empty() { Ok(()) } else { Err(beyond_the_role(&beyond)) }
        }
        // Of whom the log says nothing is nobody.
        _ => Err(nobody()),
    }
}

fn beyond_the_role(beyond: &[&str]) -> Refusal {
    let text = "The key may do more than the role of the person who is to hold it";
    Refusal::new(Code::ForbiddenScope, format!("{text}: {}.", beyond.join(", ")))
        .hint("Leave these scopes out, or let somebody hold it whose role has them.")
}

/// What is said of somebody who is not one of the account's people.
fn nobody() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such person in the account.")
}

fn check_scopes(own: &Credential, made: &CredentialCreated) -> Result<(), Refusal> {
    let Some(beyond) = made.scopes.difference(&own.created.scopes).next() else { return Ok(()) };
    let text = format!("The scope {} is more than the caller may give.", beyond.as_str());
    Err(Refusal::new(Code::ForbiddenScope, text).details(json!({ "scope": beyond.as_str() })))
}

/// Nothing gets out of what its maker is confined to.
fn check_confines(own: &Credential, is_reading: bool, made: &CredentialCreated) -> Result<(), Refusal> {
    if (own.created.read_only || is_reading) && !made.read_only {
        return Err(Refusal::new(Code::ReadOnlyMode, "A key that only reads makes none that does more."));
    }
    let within =
        own.created.vms.as_ref().is_none_or(|may| made.vms.as_ref().is_some_and(|vms| vms.iter().all(|vm| may.contains(vm))));
    if within { Ok(()) } else { Err(super::noun::vm::vm_not_found()) }
}
