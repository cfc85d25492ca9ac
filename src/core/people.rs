//! What ends with a person's role, and with the right of whoever invites.

use super::event::Kind;
use super::id::{AccountId, CredentialId, UserId};
use super::lineage::alive;
use super::member::{INVITE, Invitation, Member};
use super::role::Role;
use super::row::Credential;
use super::state::ControlState;
use super::switch::{Switch, Target};
use super::time::Micros;

impl Invitation {
    /// Whether it has not ended: not later than the right of whoever made it. They still say who the account's people are, and
    /// what they invited with is alive with all that it comes from. While a switch stops that ([`Self::stopped`]) it waits.
    #[must_use]
    pub fn holds(&self, state: &ControlState, now: Micros) -> bool {
        let administers = |row: &Member| row.account == self.account && row.acting_role().is_some_and(Role::administers);
        let may = self.by.as_ref().is_none_or(|by| state.people.get(by).is_some_and(administers));
        let lives = |with: &CredentialId| alive(state, with, now).is_ok();
        self.expires_at > now && may && self.credential.as_ref().is_none_or(lives)
    }

    /// The switch that stops what it was made by: everything, the account, what they invited with, or inviting itself. What is
    /// let through again step by step counts as stopped until it is over.
    #[must_use]
    pub fn stopped<'a>(&self, state: &'a ControlState, now: Micros) -> Option<&'a Switch> {
        let stops = |target: &Target| match target {
            Target::All => true,
            Target::Account(account) => *account == self.account,
            Target::Credential(id) => self.credential.as_ref().is_some_and(|with| state.comes_from(with, id)),
            Target::Tool(tool) => tool == INVITE,
            Target::Class(_) | Target::Provider(_) | Target::Resource { .. } => false,
        };
        state.switches.values().find(|switch| !switch.is_over(now) && stops(&switch.target))
    }
}

/// The end of those credentials of a person that are alive and that `ends` names.
#[must_use]
pub fn revocations(state: &ControlState, user: &UserId, by: Option<&UserId>, ends: impl Fn(&Credential) -> bool) -> Vec<Kind> {
    let live = state.keys_of_user(user).filter(|row| row.revoked_at.is_none() && ends(row));
    live.map(|row| Kind::CredentialRevoked { credential: row.created.credential.clone(), by: by.cloned() }).collect()
}

/// The end of every invitation that a person has made.
#[must_use]
pub fn withdrawals(state: &ControlState, user: &UserId, by: Option<&UserId>) -> Vec<Kind> {
    let made = state.invitations_by(user);
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
