//! Policy sets: put in force, or rejected.
//!
//! INVARIANT: the version is that of the transaction, so that two who load at once get two versions.

use super::{Change, Command, Snapshot};
use crate::core::event::EventKind;
use crate::core::id::{CredentialId, EventId, UserId};
use crate::core::refusal::Refusal;
use crate::core::state::PolicySet;

/// Puts a set in force.
pub struct PutPolicies {
    /// Digest of its text.
    pub sha256: String,
    /// Only if none is: the first start of a log.
    pub only_first: bool,
    /// Who; nobody at the first start of a log, and on the data itself.
    pub by: Option<(UserId, CredentialId)>,
    /// The id of its event, whose text is the set.
    pub event: EventId,
}

impl Command for PutPolicies {
    /// The set in force, and the one before.
    type Answer = (PolicySet, Option<PolicySet>);

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal> {
        let before = at.state.policy.clone();
        if let Some(set) = before.clone().filter(|_| self.only_first) {
            return Ok(Change::none().answering((set, before)));
        }
        let version = before.as_ref().map_or(0, |set| set.version) + 1;
        let (by, credential) = self.by.clone().unzip();
        let kind = EventKind::PolicyLoaded { version, sha256: self.sha256.as_str().into(), by, credential };
        let set = PolicySet { version, sha256: self.sha256.clone() };
        Ok(Change::noted(&self.event, kind).answering((set, before)))
    }
}

/// Records that a set was not taken.
pub struct RejectPolicies {
    /// Digest of why.
    pub sha256: String,
    /// The id of its event.
    pub event: EventId,
}

impl Command for RejectPolicies {
    type Answer = ();

    fn decide(&self, _: &Snapshot<'_>) -> Result<Change, Refusal> {
        Ok(Change::noted(&self.event, EventKind::PolicyRejected { sha256: self.sha256.as_str().into() }))
    }
}
