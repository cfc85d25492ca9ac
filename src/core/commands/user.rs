//! People: added, given a role, removed.
//!
//! INVARIANT: an address is one person's in each account; an account keeps somebody who administers it; nobody changes their own
//! role or removes themselves. What a person acts with ends with the right to it, in the same transaction.

use super::ending::{everything, role_change};
use super::{Change, Command, Snapshot};
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::grant::{check_not_let_in, may_manage};
use crate::core::id::{AccountId, CredentialId, EventId, UserId};
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::state::ControlState;
use crate::core::user::Invitation;

/// Somebody who is to be a person of an account.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Their id.
    pub user: UserId,
    /// The account.
    pub account: AccountId,
    /// What they may do.
    pub role: Role,
    /// Keyed digest of their e-mail address in that account.
    pub address: String,
    /// The id of their event, if it has a text.
    pub event: Option<EventId>,
}

impl NewUser {
    pub(super) fn planned(&self, change: Change, kind: EventKind) -> Change {
        change.and_under(self.event.as_ref(), kind)
    }

    /// Refuses somebody for an account that is not there, is of the other side, or has their address already.
    pub(super) fn check(&self, state: &ControlState) -> Result<(), Refusal> {
        check_side(state, &self.account, self.role)?;
        if state.has_address(&self.account, &self.address) { Err(already()) } else { Ok(()) }
    }
}

/// The event that makes somebody a person, by an invitation or without.
pub(super) fn created(new: &NewUser, by: Option<&Invitation>) -> EventKind {
    EventKind::UserCreated {
        user: new.user.clone(),
        account: new.account.clone(),
        side: new.role.side(),
        role: Some(new.role),
        invitation: by.map(|row| row.id.clone()),
        invited_by: by.and_then(|row| row.by.clone()),
        address: Some(new.address.as_str().into()),
    }
}

pub(super) fn check_side(state: &ControlState, account: &AccountId, role: Role) -> Result<(), Refusal> {
    let row = state.accounts.get(account).ok_or_else(no_account)?;
    let text = "Customers and staff have different roles.";
    if row.side == role.side() { Ok(()) } else { Err(Refusal::new(Code::ForbiddenRole, text)) }
}

pub(super) fn already() -> Refusal {
    Refusal::new(Code::Conflict, "That person is one of the account's people already.")
}

/// Adds a person to an account.
pub struct AddUser(pub NewUser);

impl Command for AddUser {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        self.0.check(at.state)?;
        Ok(self.0.planned(Change::none(), created(&self.0, None)))
    }
}

/// Gives a person another role.
pub struct SetRole {
    /// The person.
    pub user: UserId,
    /// Of which account.
    pub account: AccountId,
    /// What they may do from now on.
    pub role: Role,
    /// Who gives it.
    pub by: Principal,
}

impl Command for SetRole {
    /// The credentials that end; none if nothing changes.
    type Answer = Option<Vec<CredentialId>>;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal> {
        let (state, by) = (at.state, &self.by.user);
        check_managed(state, &self.by, &self.account)?;
        check_not_let_in(state, &self.by, &self.account)?;
        if self.user == *by {
            return Err(Refusal::new(Code::ForbiddenRole, "Nobody changes their own role."));
        }
        let member = state.users.get(&self.user).filter(|row| row.account == self.account);
        let now = member.and_then(|row| row.role).ok_or_else(absent)?;
        check_side(state, &self.account, self.role)?;
        // The same one again is what lets them in whose issuer gives them none any more.
        if now == self.role && member.is_some_and(|row| row.acting_role().is_some()) {
            return Ok(Change::none().answering(None));
        }
        if !self.role.administers() {
            check_someone_is_left(state, &self.account, &self.user)?;
        }
        let kinds = role_change(state, &self.user, &self.account, self.role, Some(by));
        let revoked = revoked(&kinds);
        Ok(Change::none().and_all(kinds).answering(Some(revoked)))
    }
}

/// Removes a person, with everything that they act with.
pub struct RemoveUser {
    /// The person.
    pub user: UserId,
    /// Of which account.
    pub account: AccountId,
    /// Who removes them.
    pub by: Principal,
}

impl Command for RemoveUser {
    /// The credentials that end.
    type Answer = Vec<CredentialId>;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal> {
        let (state, by) = (at.state, &self.by.user);
        check_managed(state, &self.by, &self.account)?;
        let member = state.users.get(&self.user).filter(|row| row.account == self.account);
        // Removed already, and not erased yet.
        if member.is_none_or(|row| row.role.is_none()) {
            return Ok(Change::none().answering(Vec::new()));
        }
        check_someone_is_left(state, &self.account, &self.user)?;
        if self.user == *by {
            let refusal = Refusal::new(Code::ForbiddenRole, "Nobody removes themselves.");
            return Err(refusal.hint("Another person who administers the account does."));
        }
        let kinds = everything(state, &self.user, Some(by));
        let revoked = revoked(&kinds);
        let removed = EventKind::UserRemoved { user: self.user.clone(), account: self.account.clone(), by: Some(by.clone()) };
        Ok(Change::none().and_all(kinds).and(removed).answering(revoked))
    }
}

fn check_managed(state: &ControlState, who: &Principal, account: &AccountId) -> Result<(), Refusal> {
    if may_manage(state, who, account) { Ok(()) } else { Err(absent()) }
}

pub(super) fn no_account() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such account.")
}

/// What is said of somebody who is not there, and of somebody whom the caller may not manage.
#[must_use]
pub fn absent() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such person.")
}

/// Refuses to leave an account without anybody who administers it.
fn check_someone_is_left(state: &ControlState, account: &AccountId, without: &UserId) -> Result<(), Refusal> {
    let mut others = state.users_of(account).filter(|row| row.id != *without);
    if others.any(|row| row.acting_role().is_some_and(Role::administers)) {
        return Ok(());
    }
    let text = "Somebody has to be left who administers the account. Give another person the role first.";
    Err(Refusal::new(Code::Conflict, text))
}

fn revoked(kinds: &[EventKind]) -> Vec<CredentialId> {
    let credential = |kind: &EventKind| {
        if let EventKind::CredentialRevoked { credential, .. } = kind { Some(credential.clone()) } else { None }
    };
    kinds.iter().filter_map(credential).collect()
}
