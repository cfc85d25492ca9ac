//! People whom an issuer makes, and the roles that its groups give.
//!
//! INVARIANT: with a role it is remembered what gave it, in the same transaction: it ends with that. An older word of the issuer
//! does not undo a newer one.

use serde_json::json;

use super::callback::Stop;
use super::decision::DenialReason;
use super::issuer::{Claims, Issuer};
use crate::auth::hashing::Line;
use crate::auth::session::{Origin, SessionError, Sessions, Token};
use crate::core::commands::issuer::{AdmitByIssuer, GiveRole};
use crate::core::commands::user::NewUser;
use crate::core::commands::vouching::Word;
use crate::core::email::EmailAddress;
use crate::core::id::{Position, UserId};
use crate::core::role::Role;
use crate::log::users::AWAITED;
use crate::log::users::UserRecord;
use crate::log::vault::VaultError;

impl Sessions {
    /// Makes a person of the staff. They have no password that anybody knows.
    pub(super) async fn create(
        &self,
        (email, role): (&EmailAddress, Role),
        issuer: &Issuer,
        claims: &Claims,
        from: &Origin,
    ) -> Result<UserRecord, Stop> {
        let state = self.head().await?;
        let account = state.staff().cloned().ok_or(DenialReason::Unknown)?;
        // One that nobody knows.
        let password = match self.hash(Token::generate(&*self.entropy).reveal(), email, Line::Stranger(&from.address)).await {
            Err(SessionError::Busy) => return Err(Stop::Again),
            password => password?,
        };
        let person = UserRecord {
            id: UserId::new(self.clock.now(), &*self.entropy),
            account: account.clone(),
            side: "staff".into(),
            role: role.as_str().into(),
            email: email.clone(),
            proved: true,
            password,
        };
        // The vault first: an event must not name a person who is not there. Nor are they somebody before that.
        match self.vault.add_as(AWAITED, &person, |other| state.users.contains_key(other)).await {
            // They are at it in another tab.
            Err(VaultError::Taken) => return Err(Stop::Again),
            added => added?,
        }
        match self.record_created(&person, role, issuer, claims).await {
            Ok(true) => {}
            // Another tab was first, or somebody took an invitation for it a moment ago.
            Ok(false) => {
                self.vault.erase_user(&person.id).await?;
                return Err(Stop::Again);
            }
            Err(error) => {
                self.erase_unmade(&person, &error).await;
                return Err(error.into());
            }
        }
        self.vault.say(&person).await?;
        Ok(person)
    }

    /// Whether the staff still had nobody under that address.
    async fn record_created(
        &self,
        person: &UserRecord,
        role: Role,
        issuer: &Issuer,
        claims: &Claims,
    ) -> Result<bool, SessionError> {
        let gives = self.gives(issuer, claims).await?;
        let note = self.note(&person.account, json!({ "issuer": issuer.settings.issuer })).await?;
        let address = self.vault.address_in(&person.account, &person.email).await?;
        let (user, account, event) = (person.id.clone(), person.account.clone(), Some(note.id()));
        let new = NewUser { user, account, role, address, event };
        let command = AdmitByIssuer { new, issuer: issuer.name.clone(), holds: issuer.settings.holds(), gives };
        Ok(self.change([note], command).await?.is_ok())
    }

    /// What the log is told of whose groups say somebody's role; nothing, if the issuer says no roles.
    pub(super) async fn gives(&self, issuer: &Issuer, claims: &Claims) -> Result<Option<String>, SessionError> {
        if issuer.settings.roles.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.vault.known_as(&issuer.settings.issuer, &claims.subject).await?))
    }

    /// Gives a person the role that their groups have now; sessions and keys end as by a change of role in the console. False, and
    /// nothing changes, if their role was changed after `seen`, when the issuer was asked.
    pub(super) async fn give_role(
        &self,
        person: &UserRecord,
        role: Role,
        issuer: &Issuer,
        claims: &Claims,
        seen: Position,
    ) -> Result<bool, Stop> {
        let (user, account) = (person.id.clone(), person.account.clone());
        let note = self.note(&account, json!({ "issuer": issuer.settings.issuer })).await?;
        let word = Word::Issuer(issuer.name.clone(), issuer.settings.holds(), self.gives(issuer, claims).await?);
        let event = note.id();
        let given = self.change([note], GiveRole { user, account, role, seen, word, event }).await?;
        if !given.is_ok_and(|given| given.answer) {
            return Ok(false);
        }
        self.vault.set_role(&person.id, role.as_str()).await?;
        Ok(true)
    }
}
