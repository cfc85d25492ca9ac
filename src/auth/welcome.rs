//! The first person of the staff: a server without staff prints a link once, and whoever opens it chooses a password.
//!
//! INVARIANT: a link works once, for a day, and only while the staff is nobody; a new one ends the one before.

use std::time::Duration;

use super::hashing::Line;
use super::session::{Browser, Entered, SessionError, Sessions, Token};
use crate::core::email::EmailAddress;
use crate::core::event::Kind;
use crate::core::id::{AccountId, UserId};
use crate::core::principal::Side;
use crate::core::role::Role;
use crate::core::scrub::ScrubbedText;
use crate::log::vault::Person;

/// How long a link works.
const HOLDS: Duration = Duration::from_hours(24);

impl Sessions {
    /// The token of a new link, if nobody is of the staff yet.
    pub async fn invite_first(&self) -> Result<Option<Token>, SessionError> {
        if self.has_staff().await? {
            return Ok(None);
        }
        let token = Token::generate(&*self.entropy);
        self.vault.invite(&token.hash(), Role::Admin.as_str(), self.clock.now().plus(HOLDS)).await?;
        Ok(Some(token))
    }

    /// Whether a link still works.
    pub async fn is_invited(&self, token: &Token) -> Result<bool, SessionError> {
        Ok(self.vault.invitation(&token.hash(), self.clock.now()).await?.is_some() && !self.has_staff().await?)
    }

    async fn has_staff(&self) -> Result<bool, SessionError> {
        Ok(self.vault.people().await?.iter().any(|person| person.side == "staff"))
    }

    /// Makes the staff's account and its first person, and signs them in; nothing, if the link does not work any more.
    pub async fn accept(
        &self,
        link: &Token,
        (email, password): (&EmailAddress, &str),
        from: &Browser,
    ) -> Result<Option<Entered>, SessionError> {
        if !self.is_invited(link).await? {
            return Ok(None);
        }
        let hash = self.hash(password, email, Line::Stranger(&from.origin.address)).await?;
        if !self.vault.take_invitation(&link.hash(), self.clock.now()).await? {
            return Ok(None);
        }
        let now = self.clock.now();
        let (account, user) = (AccountId::new(now, &*self.entropy), UserId::new(now, &*self.entropy));
        let role = Role::Admin;
        let person = Person {
            id: user.clone(),
            account: account.clone(),
            side: "staff".into(),
            role: role.as_str().into(),
            email: email.clone(),
            proved: true,
            password: hash,
        };
        self.vault.name_account(&account, &ScrubbedText::of("Staff")).await?;
        // The vault first: an event must not name a person who is not there.
        self.vault.add_person(&person).await?;
        let made = Kind::AccountCreated { account: account.clone(), side: Side::Staff };
        let joined = Kind::UserCreated { user, account, side: Side::Staff, role: Some(role), invitation: None, invited_by: None };
        self.record(vec![self.plain(made), self.plain(joined)]).await?;
        self.begin(&person, role, from).await
    }
}
