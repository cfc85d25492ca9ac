//! What events make of people and invitations.

use crate::core::event::EventKind;
use crate::core::id::{AccountId, UserId};
use crate::core::role::Role;
use crate::core::row::{RowKind, RowName, all_named, named};
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::core::user::{Invitation, InvitedBy, MAX_SESSION, RoleSource, User};

/// What is left of the role that the people here gave, once an issuer has given another one: nothing that it has taken.
fn lesser(own: Role, given: Role) -> Option<Role> {
    let (own_scopes, given_scopes) = (own.scopes(), given.scopes());
    if own_scopes.is_subset(&given_scopes) {
        return Some(own);
    }
    given_scopes.is_subset(&own_scopes).then_some(given)
}

impl ControlState {
    /// Folds in what an event says of people; none if it says nothing of them.
    pub(super) fn change_users(&mut self, at: Micros, kind: &EventKind) -> Option<Vec<RowName>> {
        match kind {
            EventKind::UserCreated { user, account, role, invitation, invited_by, address, .. } => {
                let taken = invitation.as_ref().filter(|id| self.invitations.remove(id).is_some());
                let mut touched = taken.map(|id| named(RowKind::Invitation, id.as_str())).unwrap_or_default();
                // Before roles were events they were in the vault alone.
                if role.is_some() {
                    touched.extend(self.set_role(user, account, *role));
                    if let Some(mut member) = self.users.get_mut(user) {
                        member.invited = invited_by.clone().map(|by| InvitedBy { by, at });
                        member.address = address.as_ref().map(ToString::to_string);
                    }
                }
                Some(touched)
            }
            EventKind::IdentityLinked { user, known_as: Some(digest), .. } => {
                let mut member = self.users.get_mut(user)?;
                member.known_as.insert(digest.to_string());
                member.linked.insert(digest.to_string());
                Some(named(RowKind::Person, user.as_str()))
            }
            EventKind::IdentityUnlinked { user, known_as, .. } => {
                let mut member = self.users.get_mut(user)?;
                member.linked.retain(|other| known_as.as_ref().is_some_and(|digest| *digest != **other));
                let given = member.given.take().filter(|given| member.linked.contains(&given.by));
                member.given = given;
                Some(named(RowKind::Person, user.as_str()))
            }
            EventKind::SignedIn { user, session: Some(session), .. } => {
                let mut member = self.users.get_mut(user)?;
                member.sessions.retain(|_, began| at.since(*began) < MAX_SESSION);
                member.sessions.insert(session.to_string(), at);
                Some(named(RowKind::Person, user.as_str()))
            }
            EventKind::SignedOut { user, session, .. } => {
                self.end_sessions(user, |one| session.as_ref().is_none_or(|out| *out == *one))
            }
            EventKind::PasswordSet { user, session } => {
                self.end_sessions(user, |one| session.as_ref().is_none_or(|here| *here != *one))
            }
            EventKind::UserRemoved { user, account, .. } => Some(self.part_with(user, account, None, at)),
            EventKind::PersonInvited { invitation, account, role, by, credential, expires_at, address } => {
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
            EventKind::InvitationRevoked { invitation, .. } => {
                self.invitations.remove(invitation)?;
                Some(named(RowKind::Invitation, invitation.as_str()))
            }
            _ => self.change_role(at, kind),
        }
    }

    /// Folds in what an event says of somebody's role and of what gives it; none if it says nothing of that.
    fn change_role(&mut self, at: Micros, kind: &EventKind) -> Option<Vec<RowName>> {
        match kind {
            EventKind::VouchedFor { user, until, issuer, gives, alone } => {
                let mut member = self.users.get_mut(user)?;
                member.vouched_until = *until;
                if let (Some(issuer), Some(by)) = (issuer, gives) {
                    let before = member.given.take().map_or(member.role.filter(|_| !alone), |was| was.own);
                    member.given = Some(RoleSource { issuer: issuer.to_string(), by: by.to_string(), own: before });
                }
                Some(named(RowKind::Person, user.as_str()))
            }
            EventKind::RoleWithdrawn { user, account, issuer, role } => {
                let (touched, position) = (self.set_role(user, account, Some(*role)), self.position);
                let mut member = self.users.get_mut(user)?;
                (member.withdrawn_by, member.role_at) = (Some(issuer.to_string()), position);
                Some(touched)
            }
            EventKind::RoleChanged { user, account, role, by } => {
                let (touched, position) = (self.part_with(user, account, Some(*role), at), self.position);
                let mut member = self.users.get_mut(user)?;
                // What somebody here gives is theirs, whatever an issuer says of them otherwise.
                let given = member.given.take().filter(|_| by.is_none());
                member.given = given.map(|given| RoleSource { own: given.own.and_then(|own| lesser(own, *role)), ..given });
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
        let was = self.users.remove(user);
        let mut member = was.unwrap_or_else(|| User::new(user, account));
        (member.account, member.role, member.withdrawn_by) = (account.clone(), role, None);
        member.sessions.clear();
        if role.is_none() {
            member.linked.clear();
            (member.address, member.given) = (None, None);
        }
        self.users.insert(user.clone(), member);
        named(RowKind::Person, user.as_str())
    }

    fn end_sessions(&mut self, user: &UserId, ends: impl Fn(&str) -> bool) -> Option<Vec<RowName>> {
        let mut member = self.users.get_mut(user)?;
        let before = member.sessions.len();
        member.sessions.retain(|session, _| !ends(session));
        (member.sessions.len() < before).then(|| named(RowKind::Person, user.as_str()))
    }
}
