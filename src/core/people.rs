//! What ends with the right of whoever invites.

use super::id::CredentialId;
use super::lineage::alive;
use super::role::Role;
use super::state::ControlState;
use super::switch::{Switch, Target};
use super::time::Micros;
use super::user::{INVITE, Invitation, User};

impl Invitation {
    /// Whether it has not ended: not later than the right of whoever made it. They still say who the account's people are, and
    /// what they invited with is alive with all that it comes from. While a switch stops that ([`Self::stopped`]) it waits.
    #[must_use]
    pub fn holds(&self, state: &ControlState, now: Micros) -> bool {
        let administers = |row: &User| row.account == self.account && row.acting_role().is_some_and(Role::administers);
        let may = self.by.as_ref().is_none_or(|by| state.users.get(by).is_some_and(administers));
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
        state.switches_in_force(now).find(|switch| stops(&switch.target))
    }
}
