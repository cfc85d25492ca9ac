//! What ends with a role: credentials of the person, and invitations that they made.
//!
//! INVARIANT: it ends in the transaction that takes the role away.

use crate::core::event::EventKind;
use crate::core::id::{AccountId, UserId};
use crate::core::role::Role;
use crate::core::state::{ControlState, Credential};
use crate::core::user::Invitation;

/// The end of those live credentials of a person that `ends` names.
pub(super) fn revocations(
    state: &ControlState,
    user: &UserId,
    by: Option<&UserId>,
    ends: impl Fn(&Credential) -> bool,
) -> Vec<EventKind> {
    let live = state.keys_of_user(user).filter(|row| row.revoked_at.is_none() && ends(row));
    live.map(|row| EventKind::CredentialRevoked { credential: row.created.credential.clone(), by: by.cloned() }).collect()
}

/// The end of every invitation that a person has made.
fn withdrawals(state: &ControlState, user: &UserId, by: Option<&UserId>) -> Vec<EventKind> {
    state.invitations_by(user).map(|row| withdrawal(row, by.cloned())).collect()
}

/// The end of an invitation.
pub(super) fn withdrawal(row: &Invitation, by: Option<UserId>) -> EventKind {
    EventKind::InvitationRevoked { invitation: row.id.clone(), account: row.account.clone(), by }
}

/// The end of everything that a person acts with, and of every invitation that they made.
pub(super) fn everything(state: &ControlState, user: &UserId, by: Option<&UserId>) -> Vec<EventKind> {
    let mut kinds = revocations(state, user, by, |_| true);
    kinds.extend(withdrawals(state, user, by));
    kinds
}

/// A person's new role, after what ends by it: what they act with in the console, keys of the account that may do more than the
/// role, and their invitations if the role administers nothing.
#[must_use]
pub fn role_change(state: &ControlState, user: &UserId, account: &AccountId, role: Role, by: Option<&UserId>) -> Vec<EventKind> {
    let scopes = role.scopes();
    let mut kinds = revocations(state, user, by, |row| {
        let exceeds = row.created.account == *account && !row.created.scopes.is_subset(&scopes);
        row.created.role.is_some() || exceeds
    });
    if !role.administers() {
        kinds.extend(withdrawals(state, user, by));
    }
    kinds.push(EventKind::RoleChanged { user: user.clone(), account: account.clone(), role, by: by.cloned() });
    kinds
}
