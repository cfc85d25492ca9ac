//! People and invitations as the log has them: an id, whose, and which role. Who they are is in the vault.

use serde::{Deserialize, Serialize};

use super::id::{AccountId, InvitationId, UserId};
use super::role::Role;
use super::time::Micros;

/// A person whose role the log has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub id: UserId,
    /// One of which account's people; staff have an account of their own.
    pub account: AccountId,
    /// The role that they have now; none if they were removed.
    pub role: Option<Role>,
}

/// An invitation that nobody has taken or revoked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// To be one of this account's people.
    pub account: AccountId,
    /// In this role.
    pub role: Role,
    /// Who invites.
    pub by: Option<UserId>,
    /// Since when.
    pub made_at: Micros,
    /// The link works until then.
    pub expires_at: Micros,
}

impl Invitation {
    /// Whether its link still works.
    #[must_use]
    pub fn holds(&self, now: Micros) -> bool {
        self.expires_at > now
    }
}
