//! People and invitations as the log has them: an id, whose, and which role; how they may come in and where they are signed in.
//! Who they are is in the vault; what ends with a role is in [`super::people`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{AccountId, CredentialId, InvitationId, Position, UserId};
use super::role::Role;
use super::time::Micros;

/// A session ends after this long, however much it is used.
pub const MAX_SESSION: Duration = Duration::from_hours(12);

/// A person whose role the log has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// One of which account's people; staff have an account of their own.
    pub account: AccountId,
    /// The role that they have now; none if they were removed.
    pub role: Option<Role>,
    /// Whose invitation they took, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited: Option<InvitedBy>,
    /// Whom issuers have known them as, for good: keyed digests, also of what they are not linked with any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub known_as: BTreeSet<String>,
    /// An issuer vouches for them, and their keys live until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched_until: Option<Micros>,
    /// The issuer that gave them their role gives them none any more. The role is what they come back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_by: Option<String>,
    /// Those of `known_as` by which they may come in now.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub linked: BTreeSet<String>,
    /// Their sessions that have not ended, by digest, and when each began.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sessions: BTreeMap<String, Micros>,
    /// Keyed digest of their e-mail address in that account, while they have a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The groups of an issuer say their role; nobody's if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<RoleSource>,
    /// Where their role was changed or withdrawn last.
    #[serde(default, skip_serializing_if = "is_nowhere")]
    pub role_at: Position,
}

/// What gives a person their role, if it is not the people here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSource {
    /// The name of the issuer.
    pub issuer: String,
    /// Which of `linked` it calls them. The role ends with that.
    pub by: String,
    /// What they are without it: the role that the people here gave them, as far as the issuer has not lowered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Role>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_nowhere(at: &Position) -> bool {
    *at == Position(0)
}

impl User {
    pub(super) fn new(user: &UserId, account: &AccountId) -> Self {
        Self {
            id: user.clone(),
            account: account.clone(),
            role: None,
            invited: None,
            known_as: BTreeSet::new(),
            vouched_until: None,
            withdrawn_by: None,
            linked: BTreeSet::new(),
            sessions: BTreeMap::new(),
            address: None,
            given: None,
            role_at: Position(0),
        }
    }

    /// The role that they come in with; none if they are removed, or their issuer gives them none any more.
    #[must_use]
    pub fn acting_role(&self) -> Option<Role> {
        self.role.filter(|_| self.withdrawn_by.is_none())
    }

    /// Whether a session of theirs began and has not ended: what a row says of it is not asked.
    #[must_use]
    pub fn is_in(&self, session: &str, now: Micros) -> bool {
        self.acting_role().is_some() && self.sessions.get(session).is_some_and(|began| now.since(*began) < MAX_SESSION)
    }
}

/// That somebody is here because of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedBy {
    /// Who invited.
    pub by: UserId,
    /// Since when the other is here.
    pub at: Micros,
}

/// The tool that invites.
pub const INVITE: &str = "person_invite";

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
    /// What they invited with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialId>,
    /// Since when.
    pub made_at: Micros,
    /// The link works until then.
    pub expires_at: Micros,
    /// Keyed digest of the e-mail address that it is for, in that account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}
