//! Rotation: a key and all that replace it are one key with another secret.
//!
//! INVARIANT: whatever asks whether something is a key's own asks here, and goes by the first of those that replace one
//! another. Keys that were made with one are others; their lineage is in [`super::lineage`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::id::CredentialId;
use super::state::ControlState;

impl ControlState {
    /// The first of the keys that a key replaces, one after the other; the key itself if it replaces none.
    #[must_use]
    pub fn first_of<'a>(&'a self, id: &'a CredentialId) -> &'a CredentialId {
        self.credentials.get(id).and_then(|row| row.descent.first.as_ref()).unwrap_or(id)
    }

    /// Whether two credentials are one key, by its secrets of other times.
    #[must_use]
    pub fn is_same_key(&self, one: &CredentialId, other: &CredentialId) -> bool {
        self.first_of(one) == self.first_of(other)
    }

    /// The credentials that are the same key: itself, those that it replaces, and those that replace it.
    #[must_use]
    pub fn same_key(&self, id: &CredentialId) -> Arc<BTreeSet<CredentialId>> {
        self.credentials
            .index()
            .rotations
            .get(self.first_of(id))
            .map_or_else(|| Arc::new(BTreeSet::from([id.clone()])), Arc::clone)
    }
}
