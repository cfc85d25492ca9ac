//! Accounts, keys, people and invitations by something else than their ids ([`crate::core::finder`]).

use crate::core::id::{AccountId, UserId};
use crate::core::member::{Invitation, Member};
use crate::core::row::Credential;
use crate::core::state::ControlState;

impl ControlState {
    /// The account that owns what belongs to no customer: the staff's; nobody's before there is any staff.
    #[must_use]
    pub fn house(&self) -> AccountId {
        self.staff().cloned().unwrap_or_else(AccountId::nobody)
    }

    /// The staff's account; none before there is any staff.
    #[must_use]
    pub fn staff(&self) -> Option<&AccountId> {
        self.accounts.finder().staff.first().map(|(id, ())| id)
    }

    /// The key with this hash.
    #[must_use]
    pub fn key_hashed(&self, hash: &str) -> Option<&Credential> {
        self.credentials.get(self.credentials.finder().hashes.get(hash)?)
    }

    /// The keys of an account, revoked ones and what people act with included, in the order in which they were made.
    pub fn keys_of(&self, account: &AccountId) -> impl DoubleEndedIterator<Item = &Credential> + use<'_> {
        self.credentials.finder().accounts.of(account).filter_map(|(_, id)| self.credentials.get(id))
    }

    /// How many keys there ever were of an account.
    #[must_use]
    pub fn count_keys_of(&self, account: &AccountId) -> usize {
        self.credentials.finder().accounts.count(account)
    }

    /// The keys of a person, revoked ones and what they act with included.
    pub fn keys_of_user(&self, user: &UserId) -> impl DoubleEndedIterator<Item = &Credential> + use<'_> {
        self.credentials.finder().users.of(user).filter_map(|id| self.credentials.get(id))
    }

    /// The people of an account, removed ones included.
    pub fn people_of(&self, account: &AccountId) -> impl DoubleEndedIterator<Item = &Member> + use<'_> {
        self.people.finder().accounts.of(account).filter_map(|id| self.people.get(id))
    }

    /// Everybody whom an issuer has ever known as this, removed ones included.
    pub fn known_as(&self, digest: &str) -> impl Iterator<Item = &Member> + use<'_> {
        self.people.finder().digests.of(digest).filter_map(|id| self.people.get(id))
    }

    /// The people who took an invitation of somebody.
    pub fn guests_of(&self, host: &UserId) -> impl Iterator<Item = &Member> + use<'_> {
        self.people.finder().hosts.of(host).filter_map(|id| self.people.get(id))
    }

    /// The invitations to an account that nobody has taken or revoked yet.
    pub fn invitations_of(&self, account: &AccountId) -> impl DoubleEndedIterator<Item = &Invitation> + use<'_> {
        self.invitations.finder().accounts.of(account).filter_map(|id| self.invitations.get(id))
    }

    /// The same by who made them.
    pub fn invitations_by(&self, maker: &UserId) -> impl Iterator<Item = &Invitation> + use<'_> {
        self.invitations.finder().makers.of(maker).filter_map(|id| self.invitations.get(id))
    }

    /// Whether somebody of an account has this address, of which `address` is the digest there.
    #[must_use]
    pub fn has_address(&self, account: &AccountId, address: &str) -> bool {
        self.people_of(account).any(|row| row.role.is_some() && row.address.as_deref() == Some(address))
    }
}
