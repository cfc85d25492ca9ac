//! A new secret for a key: the same key, with its limits, switches and origin (`core::lineage`).
//!
//! INVARIANT: the new secret has the rights of the old one and no more. A caller's rotation ends the old secret in the same
//! transaction; on the data both work until the old one is revoked.

use super::{By, check_quota, found, no_key};
use crate::core::commands::vm::check_vms;
use crate::core::commands::{Change, Command, Snapshot};
use crate::core::event::{CredentialCreated, EventKind};
use crate::core::grant;
use crate::core::id::{CredentialId, EventId, UserId};
use crate::core::lineage::alive;
use crate::core::principal::{Principal, Side};
use crate::core::refusal::Refusal;
use crate::core::rotation_checks::check_rotation;
use crate::core::state::{ControlState, Credential};

/// Replaces a key.
pub struct RotateKey {
    /// The key to replace.
    pub old: CredentialId,
    /// The new one.
    pub new: CredentialId,
    /// Digest of the new secret.
    pub hash: String,
    /// Its visible start.
    pub prefix: String,
    /// Who replaces it.
    pub by: By,
    /// The id of its event, whose text has the label.
    pub event: EventId,
}

impl Command for RotateKey {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let state = at.state;
        let old = found(state, &self.by, &self.old)?;
        if old.is_person() {
            return Err(no_key());
        }
        let created = self.created(state, old);
        if let By::Caller(who) = &self.by {
            grant::check(state, who, &created)?;
        }
        check_rotation(state, &self.old, created.user != old.created.user, at.now)?;
        check_vms(state, &created)?;
        let made = |created| Change::noted(&self.event, EventKind::CredentialCreated(created));
        let By::Caller(who) = &self.by else { return Ok(made(created)) };
        let replaces = alive(state, &self.old, at.now).is_ok();
        check_quota(state, &created.account, &who.credential, replaces, at.now)?;
        Ok(made(created).and(EventKind::CredentialRevoked { credential: self.old.clone(), by: Some(who.user.clone()) }))
    }
}

impl RotateKey {
    fn created(&self, state: &ControlState, old: &Credential) -> CredentialCreated {
        let (user, made_by) = match &self.by {
            By::Caller(who) => (holder(state, who, old), Some(who.credential.clone())),
            By::Operator => (old.created.user.clone(), None),
        };
        CredentialCreated {
            credential: self.new.clone(),
            user,
            hash: self.hash.as_str().into(),
            prefix: self.prefix.as_str().into(),
            rotates: Some(self.old.clone()),
            made_by,
            ..old.created.clone()
        }
    }
}

/// The user of the new key: the caller, or the old key's user if a user rotates a colleague's key.
fn holder(state: &ControlState, who: &Principal, old: &Credential) -> UserId {
    let is_person = state.credentials.get(&who.credential).is_some_and(Credential::is_person);
    let keeps = is_person && who.side == Side::Customer && !state.has_left(old);
    if keeps { old.created.user.clone() } else { who.user.clone() }
}
