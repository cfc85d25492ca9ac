//! What events make of keys: where a new one stands among those that it comes from, and what ends with one.

use serde_json::Value;

use crate::core::event::{CredentialCreated, EventKind};
use crate::core::id::{CredentialId, UserId};
use crate::core::role::Role;
use crate::core::row::{Credential, Descent, RowKind, RowName, all_named};
use crate::core::state::ControlState;
use crate::core::time::Micros;

impl ControlState {
    /// Folds in an event about a key; none if it is about something else.
    pub(super) fn change_key(&mut self, at: Micros, kind: &EventKind, note: &Value) -> Option<Vec<RowName>> {
        match kind {
            EventKind::CredentialCreated(created) => {
                let ips = note["ips"].as_array().map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                let (label, created) = (note["label"].as_str().unwrap_or_default().to_owned(), created.clone());
                let (descent, mut changed) = self.descend(&created);
                let row = Credential { created: created.clone(), label, ips, created_at: at, revoked_at: None, descent };
                changed.insert(0, row.created.credential.clone());
                self.credentials.insert(row.created.credential.clone(), row);
                Some(all_named(RowKind::Credential, &changed))
            }
            EventKind::CredentialAdopted { credential, with, .. } => {
                Some(all_named(RowKind::Credential, &self.adopt(credential, with)))
            }
            EventKind::CredentialRevoked { credential, .. } => Some(all_named(RowKind::Credential, &self.revoke(credential, at))),
            _ => None,
        }
    }

    /// Places a new credential among those that it comes from; answers the others whose rows that changes.
    fn descend(&mut self, made: &CredentialCreated) -> (Descent, Vec<CredentialId>) {
        let mut descent = Descent { first: made.rotates.as_ref().map(|old| self.first_of(old).clone()), ..Descent::default() };
        let maker = made.made_by.as_ref().map(|maker| self.first_of(maker).clone());
        let Some(first) = &descent.first else {
            descent.makers.extend(maker);
            return (descent, Vec::new());
        };
        let Some(mut row) = self.credentials.get_mut(first) else { return (descent, Vec::new()) };
        row.descent.newest = Some(made.credential.clone());
        if let Some(maker) = maker.filter(|maker| maker != first && !row.descent.makers.contains(maker)) {
            row.descent.makers.push(maker);
        }
        (descent.clone(), descent.first.into_iter().collect())
    }

    /// A person has another role, or none any more; answers the credentials whose rows that changes. A role that ends is not the
    /// end of the person: keys that may do more than the new one end by themselves.
    pub(super) fn part(&mut self, user: &UserId, role: Option<Role>, at: Micros) -> Vec<CredentialId> {
        let mut changed = Vec::new();
        for row in self.keys_of_user(user).filter(|row| row.created.role.is_some()) {
            let stays = role.is_some() && (row.descent.stays || row.revoked_at == Some(at));
            if row.descent.stays != stays {
                changed.push((row.created.credential.clone(), stays));
            }
        }
        for (id, stays) in &changed {
            if let Some(mut row) = self.credentials.get_mut(id) {
                row.descent.stays = *stays;
            }
        }
        changed.into_iter().map(|(id, _)| id).collect()
    }

    /// Has a credential come from `keeper` and from nothing else any more; answers whose row that changes.
    fn adopt(&mut self, id: &CredentialId, keeper: &CredentialId) -> Vec<CredentialId> {
        let (first, keeper) = (self.first_of(id).clone(), self.first_of(keeper).clone());
        let Some(mut row) = self.credentials.get_mut(&first) else { return Vec::new() };
        row.descent.makers = vec![keeper];
        vec![first]
    }

    /// Revokes a credential; answers those whose rows that changes. The first time for a key that was replaced, or that
    /// replaces a live one, this ends one secret of two. Any other time it ends the key, and with it all that comes from it.
    fn revoke(&mut self, id: &CredentialId, at: Micros) -> Vec<CredentialId> {
        let first = self.first_of(id).clone();
        let newest = self.credentials.get(&first).and_then(|row| row.descent.newest.clone());
        let is_live = |id: &CredentialId| self.credentials.get(id).is_some_and(|row| row.revoked_at.is_none());
        let was_live = is_live(id);
        let before = |id: &CredentialId| self.credentials.get(id).and_then(|row| row.created.rotates.clone());
        let before = std::iter::successors(before(id), before).take(self.credentials.len()).find(is_live);
        let Some(mut row) = self.credentials.get_mut(id) else { return Vec::new() };
        row.revoked_at.get_or_insert(at);
        drop(row);
        let Some(newest) = newest else { return vec![id.clone()] };
        let Some(mut row) = self.credentials.get_mut(&first) else { return vec![id.clone()] };
        if !was_live || newest == *id && before.is_none() {
            row.descent.ended_at.get_or_insert(at);
        } else if newest == *id {
            row.descent.newest = before;
        }
        if first == *id { vec![first] } else { vec![id.clone(), first] }
    }
}
