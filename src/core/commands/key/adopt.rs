//! Adopting a key: a user takes over a key that another key made, so that it outlives its maker.
//!
//! INVARIANT: only a user adopts, one key at a time. A switch that stops the key still stops it, and an ended key stays ended.

use super::of_key;
use crate::core::code::Code;
use crate::core::commands::{Change, Command, Snapshot};
use crate::core::decide::stopped;
use crate::core::event::EventKind;
use crate::core::id::CredentialId;
use crate::core::lineage::{alive, is_expired};
use crate::core::principal::{Principal, Side};
use crate::core::quota::QuotaKind;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::state::ControlState;
use crate::core::switch::{Switch, Target};
use crate::core::time::Micros;

/// Keeps a key that another one made.
pub struct AdoptKey {
    /// Which.
    pub key: CredentialId,
    /// The person who keeps it.
    pub by: Principal,
}

impl Command for AdoptKey {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let Snapshot { state, now, .. } = *at;
        let Some(kept) = adoption(state, &self.key, &self.by, now)? else { return Ok(Change::none()) };
        // One that had ended with what made it was not counted any more.
        if alive(state, &self.key, now).is_err() {
            let quota = of_key(state, &self.by.credential, state.quotas().keys);
            QuotaKind::Keys.check(quota, state.keys_used(&self.by.account, &self.by.credential, now))?;
        }
        Ok(Change::of(kept))
    }
}

/// What is recorded when a person keeps a key that another one made; nothing if they keep it already, or why they may not.
pub fn adoption(state: &ControlState, id: &CredentialId, who: &Principal, now: Micros) -> Result<Option<EventKind>, Refusal> {
    let keeper = alive(state, &who.credential, now)?;
    if !keeper.own().created.role.is_some_and(Role::administers) {
        let text = "Only a person who is signed in, and administers keys, keeps what another key made.";
        return Err(Refusal::new(Code::ForbiddenRole, text));
    }
    let absent = || Refusal::new(Code::NotFound, "There is no such key.");
    let row = state.credentials.get(id).filter(|row| row.created.account == who.account && row.created.role.is_none());
    let made = &row.ok_or_else(absent)?.created;
    if made.side == Side::Staff && made.user != who.user {
        return Err(Refusal::new(Code::ForbiddenRole, "A staff key is kept by the person who holds it."));
    }
    if state.credentials.get(id).is_none_or(|row| row.revoked_at.is_some() || is_expired(row, now)) || state.has_ended(id) {
        return Err(Refusal::new(Code::Conflict, "This key has ended itself, not only what it was made with."));
    }
    let of = |switch: &&Switch| {
        let Target::Credential(target) = &switch.target else { return false };
        let stays = state.first_of(target) == state.first_of(id) || state.comes_from(&who.credential, target);
        !stays && state.comes_from(id, target)
    };
    if let Some(switch) = state.switches_in_force(now).find(of) {
        // Keeping it would let it out from under the switch.
        return Err(stopped(switch, state.counted_as(id), now));
    }
    let first = state.credentials.get(state.first_of(id));
    let is_kept = first.is_some_and(|row| row.descent.makers == [state.first_of(&who.credential).clone()]);
    let kind = EventKind::CredentialAdopted { credential: id.clone(), by: Some(who.user.clone()), with: who.credential.clone() };
    Ok((!is_kept).then_some(kind))
}
