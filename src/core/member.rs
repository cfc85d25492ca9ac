//! People and invitations as the log has them: an id, whose, and which role; and what ends with a role. Who they are is in
//! the vault.

use serde::{Deserialize, Serialize};

use super::event::Kind;
use super::id::{AccountId, InvitationId, UserId};
use super::role::Role;
use super::state::{ControlState, Credential};
use super::time::Micros;

/// A person whose role the log has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub id: UserId,
    /// One of which account's people; staff have an account of their own.
    pub account: AccountId,
    /// The role that they have now; none if they were removed.
    pub role: Option<Role>,
}

/// An invitation that nobody has taken or revoked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// To be one of this account's people.
    pub account: AccountId,
    /// In this role.
    pub role: Role,
    /// Who invites.
    pub by: Option<UserId>,
    /// Since when.
    pub made_at: Micros,
    /// The link works until then.
    pub expires_at: Micros,
}

impl Invitation {
    /// Whether its link still works.
    #[must_use]
    pub fn holds(&self, now: Micros) -> bool {
        self.expires_at > now
    }
}

/// The end of those credentials of a person that are alive and that `ends` names.
#[must_use]
pub fn revocations(state: &ControlState, user: &UserId, by: Option<&UserId>, ends: impl Fn(&Credential) -> bool) -> Vec<Kind> {
    let live = state.credentials.values().filter(|row| row.created.user == *user && row.revoked_at.is_none() && ends(row));
    live.map(|row| Kind::CredentialRevoked { credential: row.created.credential.clone(), by: by.cloned() }).collect()
}

/// The end of every invitation that a person has made.
#[must_use]
pub fn withdrawals(state: &ControlState, user: &UserId, by: Option<&UserId>) -> Vec<Kind> {
    let made = state.invitations.values().filter(|row| row.by.as_ref() == Some(user));
    let revoked =
        |row: &Invitation| Kind::InvitationRevoked { invitation: row.id.clone(), account: row.account.clone(), by: by.cloned() };
    made.map(revoked).collect()
}

/// A person's new role, and what ends by it: what they act with in the console, keys of the account that may do more than the
/// role, and the invitations of who administers nothing any more.
#[must_use]
pub fn role_change(state: &ControlState, user: &UserId, account: &AccountId, role: Role, by: Option<&UserId>) -> Vec<Kind> {
    let scopes = role.scopes();
    let mut kinds = revocations(state, user, by, |row| {
        let exceeds = row.created.account == *account && !row.created.scopes.is_subset(&scopes);
        row.created.role.is_some() || exceeds
    });
    if !role.administers() {
        kinds.extend(withdrawals(state, user, by));
    }
    kinds.push(Kind::RoleChanged { user: user.clone(), account: account.clone(), role, by: by.cloned() });
    kinds
}
