//! People whom an issuer makes, and the roles that its groups give.
//!
//! INVARIANT: with a role it is remembered what gave it, in the same transaction: it ends with that. An older word of the issuer
//! does not undo a newer one.

use std::sync::Arc;

use serde_json::json;

use super::entry::Stop;
use super::issuer::{Claims, Issuer};
use super::judge::Why;
use crate::auth::begun::Word;
use crate::auth::hashing::Line;
use crate::auth::session::{Origin, SessionError, Sessions, Token};
use crate::core::email::EmailAddress;
use crate::core::event::Kind;
use crate::core::id::{EventId, Position, UserId};
use crate::core::people::role_change;
use crate::core::principal::Side;
use crate::core::role::Role;
use crate::core::scrub::Scrubbed;
use crate::log::draft::NewEvent;
use crate::log::people::{AWAITED, Person};
use crate::log::store::Want;
use crate::log::vault::VaultError;

impl Sessions {
    /// Makes a person of the staff. They have no password that anybody knows.
    pub(super) async fn create(
        &self,
        (email, role): (&EmailAddress, Role),
        issuer: &Issuer,
        claims: &Claims,
        from: &Origin,
    ) -> Result<Person, Stop> {
        let state = self.head().await?;
        let account = state.staff().cloned().ok_or(Why::Unknown)?;
        // One that nobody knows.
        let password = match self.hash(Token::generate(&*self.entropy).reveal(), email, Line::Stranger(&from.address)).await {
            Err(SessionError::Busy) => return Err(Stop::Again),
            password => password?,
        };
        let person = Person {
            id: UserId::new(self.clock.now(), &*self.entropy),
            account: account.clone(),
            side: "staff".into(),
            role: role.as_str().into(),
            email: email.clone(),
            proved: true,
            password,
        };
        // The vault first: an event must not name a person who is not there. Nor are they somebody before that.
        match self.vault.add_as(AWAITED, &person, |other| state.people.contains_key(other)).await {
            // They are at it in another tab.
            Err(VaultError::Taken) => return Err(Stop::Again),
            added => added?,
        }
        match self.record_created(&person, role, issuer, claims).await {
            Ok(true) => {}
            // Another tab was first, or somebody took an invitation for it a moment ago.
            Ok(false) => {
                self.vault.erase_person(&person.id).await?;
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
    async fn record_created(&self, person: &Person, role: Role, issuer: &Issuer, claims: &Claims) -> Result<bool, SessionError> {
        let (said, known_as) = (self.event_id(), self.gives(issuer, claims).await?);
        let (name, holds) = (issuer.name.clone(), issuer.settings.holds());
        let (id, note) = (self.event_id(), Scrubbed::of(json!({ "issuer": issuer.settings.issuer })));
        let parts = vec![self.seal(&id, &person.account, &note).await?];
        let address = self.vault.address_in(&person.account, &person.email).await?;
        let (user, account) = (person.id.clone(), person.account.clone());
        let written = self.writer.write(Want::default(), move |draft| {
            if draft.state().has_address(&account, &address) {
                return Ok(false);
            }
            let kind = Kind::UserCreated {
                user: user.clone(),
                account: account.clone(),
                side: Side::Staff,
                role: Some(role),
                invitation: None,
                invited_by: None,
                address: Some(address.as_str().into()),
            };
            draft.append(Position(0), NewEvent { id: id.clone(), kind, parts: parts.clone(), note: note.clone() })?;
            let (issuer, until) = (Some(name.as_str().into()), Some(draft.now.plus(holds)));
            let given =
                Kind::VouchedFor { user: user.clone(), issuer, until, gives: known_as.as_deref().map(Into::into), alone: true };
            draft.append(Position(0), NewEvent::plain(said.clone(), given))?;
            Ok(true)
        });
        Ok(written.await?)
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
        person: &Person,
        role: Role,
        issuer: &Issuer,
        claims: &Claims,
        seen: Position,
    ) -> Result<bool, Stop> {
        let (user, account) = (person.id.clone(), person.account.clone());
        let note = Scrubbed::of(json!({ "issuer": issuer.settings.issuer }));
        let (id, said) = (self.event_id(), self.event_id());
        let parts = vec![self.seal(&id, &account, &note).await?];
        let word = Word::Issuer(issuer.name.clone(), issuer.settings.holds(), self.gives(issuer, claims).await?);
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let written = self.writer.write(Want::default(), move |draft| {
            if draft.state().people.get(&user).is_some_and(|member| member.role_at > seen) {
                return Ok(false);
            }
            let mut kinds = role_change(draft.state(), &user, &account, role, None);
            let changed = kinds.pop().map(|kind| NewEvent { id: id.clone(), kind, parts: parts.clone(), note: note.clone() });
            let ended = kinds.into_iter().map(|kind| NewEvent::plain(EventId::new(clock.now(), &*entropy), kind));
            // What gives the role is said before it is given: what they were before is kept.
            let given = word.event(draft.state(), &user, draft.now).map(|kind| NewEvent::plain(said.clone(), kind));
            for event in ended.chain(given).chain(changed) {
                draft.append(Position(0), event)?;
            }
            Ok(true)
        });
        if !written.await.map_err(SessionError::from)? {
            return Ok(false);
        }
        self.vault.set_role(&person.id, role.as_str()).await?;
        Ok(true)
    }
}
