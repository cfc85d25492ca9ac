//! How much of its quotas an account, and one key of it, has used, as far as that is control state.

use std::collections::BTreeSet;
use std::time::Duration;

use super::id::{AccountId, CredentialId};
use super::lineage::alive;
use super::quota::QuotaUsage;
use super::row::Credential;
use super::state::ControlState;
use super::switch::Target;
use super::time::Micros;

/// How long a key counts as one that was made of late.
const DAY: Duration = Duration::from_hours(24);

impl ControlState {
    /// Keys of an account that live at `now`, as everything that they come from does, and dead ones that a switch still stops; the key's are those that it made.
    #[must_use]
    pub fn keys_used(&self, account: &AccountId, maker: &CredentialId, now: Micros) -> QuotaUsage {
        let targets = self.switches.values().map(|switch| &switch.target);
        let stopped: BTreeSet<&CredentialId> =
            targets.filter_map(|target| if let Target::Credential(id) = target { Some(id) } else { None }).collect();
        let is_there = |row: &&Credential| {
            let is_alive = || row.revoked_at.is_none() && alive(self, &row.created.credential, now).is_ok();
            row.created.role.is_none() && (stopped.contains(&row.created.credential) || is_alive())
        };
        QuotaUsage::of(self.keys_of(account).filter(is_there).map(|row| self.is_of(row, maker)))
    }

    /// Keys of an account that were made in the last 24 hours; the key's are those that it made.
    #[must_use]
    pub fn keys_made(&self, account: &AccountId, maker: &CredentialId, now: Micros) -> QuotaUsage {
        let lately = self.keys_of(account).rev().take_while(|row| now.since(row.created_at) < DAY);
        QuotaUsage::of(lately.filter(|row| row.created.role.is_none()).map(|row| self.is_of(row, maker)))
    }

    /// No more than these keys can there be, of any time: whoever has room for them has it without counting.
    #[must_use]
    pub fn keys_at_most(&self, account: &AccountId) -> QuotaUsage {
        let all = u32::try_from(self.count_keys_of(account)).unwrap_or(u32::MAX);
        QuotaUsage { account: all, key: all }
    }

    /// Whether a key was made with `maker`, or with what that one replaces.
    fn is_of(&self, row: &Credential, maker: &CredentialId) -> bool {
        row.created.made_by.as_ref().is_some_and(|made_by| self.is_same_key(made_by, maker))
    }

    /// Switches that keys of an account, or persons with them, have engaged; the key's are those of this one.
    #[must_use]
    pub fn switches_used(&self, account: &AccountId, credential: &CredentialId) -> QuotaUsage {
        let by = self.switches.values().filter_map(|switch| switch.credential.as_ref());
        let own = by.filter(|by| self.credentials.get(by).is_some_and(|row| row.created.account == *account));
        QuotaUsage::of(own.map(|by| self.is_same_key(by, credential)))
    }
}
