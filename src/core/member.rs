//! People and invitations as the log has them: an id, whose, and which role; how they may come in and where they are signed in.
//! Who they are is in the vault.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Kind;
use super::id::{AccountId, CredentialId, InvitationId, Position, UserId};
use super::lineage::alive;
use super::role::Role;
use super::state::{ControlState, Credential, RowKind, RowName, all_named, named};
use super::switch::{Switch, Target};
use super::time::Micros;

/// A session ends after this long, however much it is used.
pub const LONGEST: Duration = Duration::from_hours(12);

/// A person whose role the log has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub id: UserId,
    /// One of which account's people; staff have an account of their own.
    pub account: AccountId,
    /// The role that they have now; none if they were removed.
    pub role: Option<Role>,
    /// Whose invitation they took, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited: Option<Invited>,
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
    pub given: Option<Given>,
    /// Where their role was changed or withdrawn last.
    #[serde(default, skip_serializing_if = "is_nowhere")]
    pub role_at: Position,
}

/// What gives a person their role, if it is not the people here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
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

/// What is left of the role that the people here gave, once an issuer has given another one: nothing that it has taken.
fn lesser(own: Role, given: Role) -> Option<Role> {
    let (own_scopes, given_scopes) = (own.scopes(), given.scopes());
    if own_scopes.is_subset(&given_scopes) {
        return Some(own);
    }
    given_scopes.is_subset(&own_scopes).then_some(given)
}

impl Member {
    fn new(user: &UserId, account: &AccountId) -> Self {
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
        self.acting_role().is_some() && self.sessions.get(session).is_some_and(|began| now.since(*began) < LONGEST)
    }
}

/// That somebody is here because of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// Who invited.
    pub by: UserId,
    /// Since when the other is here.
    pub at: Micros,
}

impl Credential {
    /// Whether the console acts with it for a person who is signed in. It is no key then: nobody holds a secret of it.
    #[must_use]
    pub fn is_person(&self) -> bool {
        self.created.role.is_some()
    }
}

impl ControlState {
    /// Whether somebody of an account has this address, of which `address` is the digest there.
    #[must_use]
    pub fn has_address(&self, account: &AccountId, address: &str) -> bool {
        self.people_of(account).any(|row| row.role.is_some() && row.address.as_deref() == Some(address))
    }

    /// Whether the person is gone whose credential it is: a right ends with whom it was given to.
    #[must_use]
    pub fn has_left(&self, row: &Credential) -> bool {
        let member = self.people.get(&row.created.user);
        member.is_some_and(|member| member.acting_role().is_none() || member.account != row.created.account)
    }

    /// Whether it is a key of somebody for whom an issuer has not vouched for too long.
    #[must_use]
    pub fn is_unvouched(&self, row: &Credential, now: Micros) -> bool {
        let member = self.people.get(&row.created.user);
        !row.is_person() && member.and_then(|member| member.vouched_until).is_some_and(|until| until <= now)
    }
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

impl Invitation {
    /// Whether it has not ended: not later than the right of whoever made it. They still say who the account's people are, and
    /// what they invited with is alive with all that it comes from. While a switch stops that ([`Self::stopped`]) it waits.
    #[must_use]
    pub fn holds(&self, state: &ControlState, now: Micros) -> bool {
        let administers = |row: &Member| row.account == self.account && row.acting_role().is_some_and(Role::administers);
        let may = self.by.as_ref().is_none_or(|by| state.people.get(by).is_some_and(administers));
        let lives = |with: &CredentialId| alive(state, with, now).is_ok();
        self.expires_at > now && may && self.credential.as_ref().is_none_or(lives)
    }

    /// The switch that stops what it was made by: everything, the account, what they invited with, or inviting itself. What is
    /// let through again step by step counts as stopped until it is over.
    #[must_use]
    pub fn stopped<'a>(&self, state: &'a ControlState, now: Micros) -> Option<&'a Switch> {
        let stops = |target: &Target| match target {
            Target::All => true,
            Target::Account(account) => *account == self.account,
            Target::Credential(id) => self.credential.as_ref().is_some_and(|with| state.comes_from(with, id)),
            Target::Tool(tool) => tool == INVITE,
            Target::Class(_) | Target::Provider(_) | Target::Resource { .. } => false,
        };
        state.switches.values().find(|switch| !switch.is_over(now) && stops(&switch.target))
    }
}

impl ControlState {
    /// Folds in what an event says of people; none if it says nothing of them.
    pub(super) fn change_people(&mut self, at: Micros, kind: &Kind) -> Option<Vec<RowName>> {
        match kind {
            Kind::UserCreated { user, account, role, invitation, invited_by, address, .. } => {
                let taken = invitation.as_ref().filter(|id| self.invitations.remove(id).is_some());
                let mut touched = taken.map(|id| named(RowKind::Invitation, id.as_str())).unwrap_or_default();
                // Before roles were events they were in the vault alone.
                if role.is_some() {
                    touched.extend(self.set_role(user, account, *role));
                    if let Some(mut member) = self.people.get_mut(user) {
                        member.invited = invited_by.clone().map(|by| Invited { by, at });
                        member.address = address.as_ref().map(ToString::to_string);
                    }
                }
                Some(touched)
            }
            Kind::IdentityLinked { user, known_as: Some(digest), .. } => {
                let mut member = self.people.get_mut(user)?;
                member.known_as.insert(digest.to_string());
                member.linked.insert(digest.to_string());
                Some(named(RowKind::Person, user.as_str()))
            }
            Kind::IdentityUnlinked { user, known_as, .. } => {
                let mut member = self.people.get_mut(user)?;
                member.linked.retain(|other| known_as.as_ref().is_some_and(|digest| *digest != **other));
                let given = member.given.take().filter(|given| member.linked.contains(&given.by));
                member.given = given;
                Some(named(RowKind::Person, user.as_str()))
            }
            Kind::SignedIn { user, session: Some(session), .. } => {
                let mut member = self.people.get_mut(user)?;
                member.sessions.retain(|_, began| at.since(*began) < LONGEST);
                member.sessions.insert(session.to_string(), at);
                Some(named(RowKind::Person, user.as_str()))
            }
            Kind::SignedOut { user, session, .. } => {
                self.end_sessions(user, |one| session.as_ref().is_none_or(|out| *out == *one))
            }
            Kind::PasswordSet { user, session } => {
                self.end_sessions(user, |one| session.as_ref().is_none_or(|here| *here != *one))
            }
            Kind::UserRemoved { user, account, .. } => Some(self.part_with(user, account, None, at)),
            Kind::PersonInvited { invitation, account, role, by, credential, expires_at, address } => {
                let row = Invitation {
                    id: invitation.clone(),
                    account: account.clone(),
                    role: *role,
                    by: by.clone(),
                    credential: credential.clone(),
                    made_at: at,
                    expires_at: *expires_at,
                    address: address.as_ref().map(ToString::to_string),
                };
                self.invitations.insert(invitation.clone(), row);
                Some(named(RowKind::Invitation, invitation.as_str()))
            }
            Kind::InvitationRevoked { invitation, .. } => {
                self.invitations.remove(invitation)?;
                Some(named(RowKind::Invitation, invitation.as_str()))
            }
            _ => self.change_role(at, kind),
        }
    }

    /// Folds in what an event says of somebody's role and of what gives it; none if it says nothing of that.
    fn change_role(&mut self, at: Micros, kind: &Kind) -> Option<Vec<RowName>> {
        match kind {
            Kind::VouchedFor { user, until, issuer, gives, alone } => {
                let mut member = self.people.get_mut(user)?;
                member.vouched_until = *until;
                if let (Some(issuer), Some(by)) = (issuer, gives) {
                    let before = member.given.take().map_or(member.role.filter(|_| !alone), |was| was.own);
                    member.given = Some(Given { issuer: issuer.to_string(), by: by.to_string(), own: before });
                }
                Some(named(RowKind::Person, user.as_str()))
            }
            Kind::RoleWithdrawn { user, account, issuer, role } => {
                let (touched, position) = (self.set_role(user, account, Some(*role)), self.position);
                let mut member = self.people.get_mut(user)?;
                (member.withdrawn_by, member.role_at) = (Some(issuer.to_string()), position);
                Some(touched)
            }
            Kind::RoleChanged { user, account, role, by } => {
                let (touched, position) = (self.part_with(user, account, Some(*role), at), self.position);
                let mut member = self.people.get_mut(user)?;
                // What somebody here gives is theirs, whatever an issuer says of them otherwise.
                let given = member.given.take().filter(|_| by.is_none());
                member.given = given.map(|given| Given { own: given.own.and_then(|own| lesser(own, *role)), ..given });
                member.role_at = position;
                Some(touched)
            }
            _ => None,
        }
    }

    fn part_with(&mut self, user: &UserId, account: &AccountId, role: Option<Role>, at: Micros) -> Vec<RowName> {
        let mut touched = self.set_role(user, account, role);
        touched.extend(all_named(RowKind::Credential, &self.part(user, role, at)));
        touched
    }

    /// With a role what somebody came in with ends, too.
    fn set_role(&mut self, user: &UserId, account: &AccountId, role: Option<Role>) -> Vec<RowName> {
        let was = self.people.remove(user);
        let mut member = was.unwrap_or_else(|| Member::new(user, account));
        (member.account, member.role, member.withdrawn_by) = (account.clone(), role, None);
        member.sessions.clear();
        if role.is_none() {
            member.linked.clear();
            (member.address, member.given) = (None, None);
        }
        self.people.insert(user.clone(), member);
        named(RowKind::Person, user.as_str())
    }

    fn end_sessions(&mut self, user: &UserId, ends: impl Fn(&str) -> bool) -> Option<Vec<RowName>> {
        let mut member = self.people.get_mut(user)?;
        let before = member.sessions.len();
        member.sessions.retain(|session, _| !ends(session));
        (member.sessions.len() < before).then(|| named(RowKind::Person, user.as_str()))
    }
}
