//! Which credentials a switch on one of them also stops, and which share one limit.
//!
//! A user's sessions get a new credential after a revocation, a change of role, or long disuse.
//!
//! INVARIANT: switches and limits take all session credentials of a user as one, so signing in again evades neither. Ending is
//! final: a live session credential does not revive what an ended one made. Pure.

use std::collections::BTreeSet;

use super::id::CredentialId;
use super::state::{ControlState, Credential};

impl ControlState {
    /// Whether what is done to `ancestor` reaches `id`. One whose lineage cannot be read is reached by everything.
    #[must_use]
    pub fn comes_from(&self, id: &CredentialId, ancestor: &CredentialId) -> bool {
        let (first, row) = (self.first_of(ancestor), self.credentials.get(ancestor));
        let is_it = |stem: &Credential| stem.created.credential == *first || row.is_some_and(|row| is_one_person(row, stem));
        id == ancestor || self.lineage(id).map_or(true, |lineage| lineage.any(is_it))
    }

    /// A credential, if there is one, and every one that comes from it. One whose lineage is too long to be read may be missing:
    /// it is refused whatever is stopped.
    #[must_use]
    pub fn descendants(&self, id: &CredentialId) -> Vec<&Credential> {
        let finder = self.credentials.index();
        let mut firsts = BTreeSet::from([self.first_of(id)]);
        if let Some(own) = self.credentials.get(id) {
            let same = self.keys_of_user(&own.created.user).filter(|row| is_one_person(row, own));
            firsts.extend(same.map(|row| &row.created.credential));
        }
        let mut left: Vec<&CredentialId> = firsts.iter().copied().collect();
        while let Some(first) = left.pop() {
            left.extend(finder.made_with.of(first).filter(|child| firsts.insert(child)));
        }
        let replaced = firsts.iter().filter_map(|first| finder.rotations.get(*first)).flat_map(|same| same.iter());
        let all: BTreeSet<&CredentialId> = replaced.chain(firsts.iter().copied()).chain([id]).collect();
        all.into_iter().filter_map(|id| self.credentials.get(id)).collect()
    }

    /// What switches and limits take a credential for: the first of the keys that it replaces; of what the console acts with,
    /// the first that it acted with for the same person.
    #[must_use]
    pub fn counted_as<'a>(&'a self, id: &'a CredentialId) -> &'a CredentialId {
        let Some(own) = self.credentials.get(id).filter(|row| row.is_person()) else { return self.first_of(id) };
        let same = self.keys_of_user(&own.created.user).filter(|row| is_one_person(row, own));
        let first = same.min_by_key(|row| (row.created_at, &row.created.credential));
        first.map_or(id, |row| &row.created.credential)
    }
}

/// Whether the console acts, or acted, with both for the same person.
fn is_one_person(one: &Credential, other: &Credential) -> bool {
    let (a, b) = (&one.created, &other.created);
    one.is_person() && other.is_person() && (&a.user, &a.account) == (&b.user, &b.account)
}
