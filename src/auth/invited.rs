//! Taking an invitation: from a link that somebody was given to a person with a password, who is signed in.
//!
//! INVARIANT: a link works once, until its time is over, it is revoked, or whoever made it may not invite any more. Whether it
//! does is decided in the transaction that makes the person one of the account's people; whom the log does not name as such
//! never signs in.

use super::hashing::Line;
use super::session::{Browser, Entered, SessionError, Sessions, Token};
use crate::core::event::Kind;
use crate::core::id::{InvitationId, Position, UserId};
use crate::core::principal::Side;
use crate::core::role::Role;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::log::people::{Invited, UNSAID};
use crate::log::store::Want;
use crate::log::vault::Person;

impl Sessions {
    /// Whom a link is for, and the role that they would have, while it works.
    pub async fn invited(&self, link: &Token) -> Result<Option<(Invited, Role)>, SessionError> {
        let Some(invited) = self.vault.invited_by_link(&link.hash()).await? else { return Ok(None) };
        let id = invited.id.clone();
        let role = self.writer.write(Want::default(), move |draft| Ok(role_of(draft.state(), &id, draft.now))).await?;
        Ok(role.map(|role| (invited, role)))
    }

    /// Makes a person of whom the link is for, and signs them in; nothing, if it does not work, or they are one of the
    /// account's people already. Whether the address is somebody's in another account makes no difference.
    pub async fn join(&self, link: &Token, password: &str, from: &Browser) -> Result<Option<Entered>, SessionError> {
        let Some((invited, role)) = self.invited(link).await? else { return Ok(None) };
        if self.is_member(&invited).await? {
            return Ok(None);
        }
        let person = Person {
            id: UserId::new(self.clock.now(), &*self.entropy),
            account: invited.account.clone(),
            side: if role.side() == Side::Staff { "staff" } else { "customer" }.into(),
            role: UNSAID.into(),
            email: invited.email.clone(),
            // Who invites passes the link on, so that it was used says nothing about whose the address is.
            proved: false,
            password: self.hash(password, &invited.email, Line::Stranger(&from.origin.address)).await?,
        };
        // The vault first: an event must not name a person who is not there.
        let state = self.writer.fence().state();
        self.vault.add_as(UNSAID, &person, |other| state.people.contains_key(other)).await?;
        match self.record_joined(&person, &invited.id).await {
            Ok(true) => {}
            Ok(false) => {
                self.vault.erase_person(&person.id).await?;
                return Ok(None);
            }
            Err(error) => {
                self.erase_unmade(&person, &error).await;
                return Err(error);
            }
        }
        self.vault.set_role(&person.id, role.as_str()).await?;
        self.vault.forget_invited(&invited.id).await?;
        self.begin(&person, role, from).await
    }

    /// Whether the invitation still held when it was taken.
    async fn record_joined(&self, person: &Person, invitation: &InvitationId) -> Result<bool, SessionError> {
        let (person, invitation, id) = (person.clone(), invitation.clone(), self.event_id());
        let joined = self.writer.write(Want::default(), move |draft| {
            let row = draft.state().invitations.get(&invitation).filter(|row| row.holds(draft.state(), draft.now));
            let row = row.filter(|row| row.account == person.account);
            let Some((role, invited_by)) = row.map(|row| (row.role, row.by.clone())) else { return Ok(false) };
            let (user, account, side) = (person.id.clone(), person.account.clone(), role.side());
            let invitation = Some(invitation.clone());
            let kind = Kind::UserCreated { user, account, side, role: Some(role), invitation, invited_by };
            draft.append(Position(0), crate::log::draft::NewEvent::plain(id.clone(), kind))?;
            Ok(true)
        });
        Ok(joined.await?)
    }

    /// Whether somebody of the account has the address already.
    async fn is_member(&self, invited: &Invited) -> Result<bool, SessionError> {
        for person in self.vault.people_with(&invited.email).await? {
            if person.account == invited.account && self.role_of(&person).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The role that an invitation is for, while it holds.
fn role_of(state: &ControlState, invitation: &InvitationId, now: Micros) -> Option<Role> {
    state.invitations.get(invitation).filter(|row| row.holds(state, now)).map(|row| row.role)
}
