//! Accounts, keys, people and invitations by something else than their ids ([`crate::core::index`]).

use crate::core::id::{AccountId, UserId};
use crate::core::row::Credential;
use crate::core::state::ControlState;
use crate::core::user::{Invitation, User};

impl ControlState {
    /// The account that owns what belongs to no customer: the staff's; nobody's before there is any staff.
    #[must_use]
    pub fn operator_account(&self) -> AccountId {
        self.staff().cloned().unwrap_or_else(AccountId::nobody)
    }

    /// The staff's account; none before there is any staff.
    #[must_use]
    pub fn staff(&self) -> Option<&AccountId> {
        self.accounts.index().staff.first().map(|(id, ())| id)
    }

    /// The key with this hash.
    #[must_use]
    pub fn key_hashed(&self, hash: &str) -> Option<&Credential> {
        self.credentials.get(self.credentials.index().hashes.get(hash)?)
    }

    /// The keys of an account, revoked ones and what people act with included, in the order in which they were made.
    pub fn keys_of(&self, account: &AccountId) -> impl DoubleEndedIterator<Item = &Credential> + use<'_> {
        self.credentials.index().accounts.of(account).filter_map(|(_, id)| self.credentials.get(id))
    }

    /// How many keys there ever were of an account.
    #[must_use]
    pub fn count_keys_of(&self, account: &AccountId) -> usize {
        self.credentials.index().accounts.count(account)
    }

    /// The keys of a person, revoked ones and what they act with included.
    pub fn keys_of_user(&self, user: &UserId) -> impl DoubleEndedIterator<Item = &Credential> + use<'_> {
        self.credentials.index().users.of(user).filter_map(|id| self.credentials.get(id))
    }

    /// The people of an account, removed ones included.
    pub fn users_of(&self, account: &AccountId) -> impl DoubleEndedIterator<Item = &User> + use<'_> {
        self.users.index().accounts.of(account).filter_map(|id| self.users.get(id))
    }

    /// Everybody whom an issuer has ever known as this, removed ones included.
    pub fn known_as(&self, digest: &str) -> impl Iterator<Item = &User> + use<'_> {
        self.users.index().digests.of(digest).filter_map(|id| self.users.get(id))
    }

    /// The people who took an invitation of somebody.
    pub fn guests_of(&self, host: &UserId) -> impl Iterator<Item = &User> + use<'_> {
        self.users.index().hosts.of(host).filter_map(|id| self.users.get(id))
    }

    /// The invitations to an account that nobody has taken or revoked yet.
    pub fn invitations_of(&self, account: &AccountId) -> impl DoubleEndedIterator<Item = &Invitation> + use<'_> {
        self.invitations.index().accounts.of(account).filter_map(|id| self.invitations.get(id))
    }

    /// The same by who made them.
    pub fn invitations_by(&self, maker: &UserId) -> impl Iterator<Item = &Invitation> + use<'_> {
        self.invitations.index().makers.of(maker).filter_map(|id| self.invitations.get(id))
    }

    /// Whether somebody of an account has this address, of which `address` is the digest there.
    #[must_use]
    pub fn has_address(&self, account: &AccountId, address: &str) -> bool {
        self.users_of(account).any(|row| row.role.is_some() && row.address.as_deref() == Some(address))
    }
}
