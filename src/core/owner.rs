//! Whose something is, by the id that readers ask for it by: who is told that it was looked at.
//!
//! INVARIANT: what is one account's alone is told to that account; an id that nobody knows is nobody's.

use super::id::{AccountId, CredentialId, SwitchId, UserId};
use super::resource::ResourceId;
use super::search::{Field, Search};
use super::state::ControlState;
use super::switch::Target;

impl Target {
    /// Whose it is, if it is one account's alone.
    #[must_use]
    pub fn owner(&self, state: &ControlState) -> Option<AccountId> {
        match self {
            Self::Account(id) => Some(id.clone()),
            Self::Credential(id) => state.owner_of(id.as_str()),
            Self::Resource { id, .. } => state.owner_of(id.as_str()),
            Self::All | Self::Class(_) | Self::Tool(_) | Self::Provider(_) => None,
        }
    }
}

impl ControlState {
    /// Whose the account, key, person, resource or engaged switch of this id is.
    #[must_use]
    pub fn owner_of(&self, id: &str) -> Option<AccountId> {
        if let Ok(account) = id.parse::<AccountId>() {
            return Some(account);
        }
        if let Ok(key) = id.parse::<CredentialId>() {
            return self.credentials.get(&key).map(|row| row.created.account.clone());
        }
        if let Ok(person) = id.parse::<UserId>() {
            return self.users.get(&person).map(|row| row.account.clone());
        }
        if let Ok(resource) = id.parse::<ResourceId>() {
            return self.resource(&resource).map(|row| row.account);
        }
        let switch: SwitchId = id.parse().ok()?;
        self.switches.get(&switch).and_then(|row| row.target.owner(self))
    }

    /// Whose all calls are that a search can find, if they are one account's.
    #[must_use]
    pub fn owner_of_found(&self, search: &Search) -> Option<AccountId> {
        let resources = super::resource::NOUNS.map(Field::Resource);
        let fields = [Field::Account, Field::Credential].into_iter().chain(resources);
        fields.filter_map(|field| search.value(field)).find_map(|value| self.owner_of(value))
    }
}
