//! Takes an invitation: from its link to a signed-in user with a password.
//!
//! INVARIANT: a link works once. It ends when it expires, is revoked, or its maker loses the right to invite; a switch on its
//! maker only suspends it. The transaction that creates the user decides whether the link works and whether the account already
//! has this address. A user who is not in the log never signs in.

use super::hashing::Line;
use super::session::{Browser, SessionError, Sessions, SignInCookies, Token};
use crate::core::code::Code;
use crate::core::commands::invitation::{TakeInvitation, open};
use crate::core::id::{InvitationId, UserId};
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::log::users::{Invited, UNSAID, UserRecord};
use crate::log::vault::VaultError;

/// What a link is good for.
pub enum Link {
    /// Nothing: it has ended, was used, or never was one.
    Ended,
    /// It waits until what it was made by is stopped no more.
    Stopped(Refusal),
    /// Making whom it is for a person with this role.
    Works(Box<Invited>, Role),
}

/// What came of taking an invitation.
pub enum Joined {
    /// They are signed in.
    In(SignInCookies),
    /// It does not work any more, or they are one of the account's people already.
    Not,
    /// It waits.
    Stopped(Refusal),
}

impl Sessions {
    /// Whom a link is for, and the role that they would have, while it works.
    pub async fn invited(&self, link: &Token) -> Result<Link, SessionError> {
        let Some(invited) = self.vault.invited_by_link(&link.hash()).await? else { return Ok(Link::Ended) };
        let fresh = self.writer.fresh().await?;
        Ok(match open(fresh.state(), &invited.id, fresh.now()).map(|row| row.map(|row| row.role)) {
            None => Link::Ended,
            Some(Err(refusal)) => Link::Stopped(refusal),
            Some(Ok(role)) => Link::Works(Box::new(invited), role),
        })
    }

    /// Makes a person of whom the link is for, and signs them in; nothing, if it does not work, or they are one of the
    /// account's people already. Whether the address is somebody's in another account makes no difference.
    pub async fn join(&self, link: &Token, password: &str, from: &Browser) -> Result<Joined, SessionError> {
        let (invited, role) = match self.invited(link).await? {
            Link::Works(invited, role) => (invited, role),
            Link::Stopped(refusal) => return Ok(Joined::Stopped(refusal)),
            Link::Ended => return Ok(Joined::Not),
        };
        // Of those of whom the log has no digest; the others are looked at where it is decided.
        if self.is_member(&invited).await? {
            return Ok(Joined::Not);
        }
        let person = UserRecord {
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
        match self.vault.add_as(UNSAID, &person, |other| state.users.contains_key(other)).await {
            // Whoever was first is at it, or through.
            Err(VaultError::Taken) => return Ok(Joined::Not),
            added => added?,
        }
        match self.record_joined(&person, &invited.id).await {
            Ok(Ok(())) => {}
            Ok(Err(refusal)) => {
                self.vault.erase_user(&person.id).await?;
                let is_stopped = refusal.code == Code::KillSwitchEngaged;
                return Ok(if is_stopped { Joined::Stopped(refusal) } else { Joined::Not });
            }
            Err(error) => {
                self.erase_unmade(&person, &error).await;
                return Err(error);
            }
        }
        // The log has made them one of the account's people: what the vault keeps beside that is for who looks there alone.
        if let Err(error) = self.vault.say(&UserRecord { role: role.as_str().into(), ..person.clone() }).await {
            tracing::warn!(user = %person.id, %error, "the vault has no role yet of somebody who was made a person");
        }
        self.vault.forget_invited(&invited.id).await?;
        Ok(self.begin(&person, role, from).await?.map_or(Joined::Not, Joined::In))
    }

    /// Makes them a person, if the invitation still works then, and the account has nobody under that address.
    async fn record_joined(&self, person: &UserRecord, invitation: &InvitationId) -> Result<Result<(), Refusal>, SessionError> {
        let address = self.vault.address_in(&person.account, &person.email).await?;
        let (user, account, invitation) = (person.id.clone(), person.account.clone(), invitation.clone());
        Ok(self.change(None, TakeInvitation { invitation, user, account, address }).await?.map(drop))
    }

    /// Whether somebody of the account has the address already.
    async fn is_member(&self, invited: &Invited) -> Result<bool, SessionError> {
        for person in self.vault.users_with(&invited.email).await? {
            if person.account == invited.account && self.role_of(&person).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
