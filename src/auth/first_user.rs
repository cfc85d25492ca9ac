//! The first staff user: a server without staff prints a link once; whoever opens it first chooses a password.
//!
//! INVARIANT: a link works once, for a day, and only while there is no staff user; a new link ends the one before. The
//! transaction that creates the user checks this and uses the link up, so a failed attempt does not.

use std::time::Duration;

use super::hashing::Line;
use super::session::{Browser, SessionError, Sessions, SignInCookies, Token};
use crate::core::commands::account::{OpenAccount, has_staff};
use crate::core::commands::user::NewUser;
use crate::core::email::EmailAddress;
use crate::core::id::{AccountId, UserId};
use crate::core::role::Role;
use crate::core::scrub::ScrubbedText;
use crate::log::users::UNSAID;
use crate::log::users::UserRecord;
use crate::log::vault::VaultError;

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
        let state = self.head().await?;
        Ok(has_staff(&state))
    }

    /// Makes the staff's account and its first person, and signs them in; nothing, if the link does not work any more.
    pub async fn accept(
        &self,
        link: &Token,
        (email, password): (&EmailAddress, &str),
        from: &Browser,
    ) -> Result<Option<SignInCookies>, SessionError> {
        if !self.is_invited(link).await? {
            return Ok(None);
        }
        let hash = self.hash(password, email, Line::Stranger(&from.origin.address)).await?;
        let (now, role) = (self.clock.now(), Role::Admin);
        let person = UserRecord {
            id: UserId::new(now, &*self.entropy),
            account: AccountId::new(now, &*self.entropy),
            side: "staff".into(),
            role: role.as_str().into(),
            email: email.clone(),
            proved: true,
            password: hash,
        };
        self.vault.name_account(&person.account, &ScrubbedText::of("Staff")).await?;
        // The vault first: an event must not name a person who is not there. Nor are they somebody before that.
        match self.vault.add_as(UNSAID, &person, |_| false).await {
            Err(VaultError::Taken) => return Ok(None),
            added => added?,
        }
        match self.record_first(&person, role).await {
            Ok(true) => {}
            Ok(false) => {
                self.vault.erase_user(&person.id).await?;
                return Ok(None);
            }
            Err(error) => {
                self.erase_unmade(&person, &error).await;
                return Err(error);
            }
        }
        self.vault.say(&person).await?;
        self.vault.take_invitation(&link.hash(), self.clock.now()).await?;
        self.begin(&person, role, from).await
    }

    /// Whether the staff was still nobody.
    async fn record_first(&self, person: &UserRecord, role: Role) -> Result<bool, SessionError> {
        let address = self.vault.address_in(&person.account, &person.email).await?;
        let (user, account) = (person.id.clone(), person.account.clone());
        let first = NewUser { user, account, role, address, event: None };
        let opened = self.change(None, OpenAccount { first, event: None, only_first_staff: true }).await?;
        Ok(opened.is_ok())
    }
}
