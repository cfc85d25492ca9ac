//! Linking people with what an issuer knows them as, and parting them from it.
//!
//! INVARIANT: whoever is linked is vouched for from then on, in the same transaction; parting from the issuer makes its last word
//! hold no longer, and ends what its groups gave.

use std::sync::Arc;

use serde_json::Value;

use super::attempt::Attempt;
use super::entry::{Stop, note, refuse};
use super::issuer::{Claims, Issuer};
use super::judge::{Why, is_of};
use crate::auth::begun::Word;
use crate::auth::session::{Origin, SessionError, Sessions, Visitor};
use crate::core::event::Kind;
use crate::core::id::{AccountId, EventId, Position, UserId};
use crate::core::member::Member;
use crate::core::people::{revocations, role_change, withdrawals};
use crate::core::role::Role;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::log::draft::NewEvent;
use crate::log::identity::LinkedIdentity;
use crate::log::people::Person;
use crate::log::store::Want;

impl Sessions {
    /// Links somebody who is signed in, because they asked for it.
    pub(super) async fn link_visitor(
        &self,
        issuer: &Issuer,
        attempt: &Attempt,
        claims: Claims,
        visitor: Option<&Visitor>,
        from: &Origin,
    ) -> Result<(), Stop> {
        let person = visitor.map(|visitor| &visitor.person).filter(|person| Some(&person.id) == attempt.link.as_ref());
        let Some(person) = person else { return Err(refuse(Why::NotSignedIn, None, Some(claims), None)) };
        if issuer.settings.role_of(&claims.groups).is_err() {
            // It says so of whom it knows already, too.
            if let Some(known) = self.linked(&issuer.settings.issuer, &claims.subject).await? {
                self.end_what_they_act_with(&known, &issuer.name, attempt.seen).await?;
            }
            return Err(refuse(Why::NoRole, None, Some(claims), Some(person.clone())));
        }
        if !is_of(person, issuer.settings.side) {
            return Err(refuse(Why::OtherSide, None, Some(claims), Some(person.clone())));
        }
        if self.link(issuer, person, &claims, from).await? {
            return Ok(());
        }
        Err(refuse(Why::LinkedOtherwise, None, Some(claims), Some(person.clone())))
    }

    /// The vault first: it decides whether both are free.
    pub(super) async fn link(
        &self,
        issuer: &Issuer,
        person: &Person,
        claims: &Claims,
        from: &Origin,
    ) -> Result<bool, SessionError> {
        let email = claims.email_as_said.clone().unwrap_or_default();
        let (address, subject) = (issuer.settings.issuer.clone(), claims.subject.clone());
        let identity = LinkedIdentity { issuer: address, subject, email, since: self.clock.now() };
        let known_as = self.vault.known_as(&identity.issuer, &identity.subject).await?;
        if !self.vault.link(&person.id, &identity).await? {
            match self.is_written(&identity, &known_as, person).await? {
                // They are linked already, by another tab.
                Some(true) => return Ok(true),
                // Its event was never written, or is about to be.
                Some(false) => {}
                None => return Ok(false),
            }
        }
        let (user, known_as) = (person.id.clone(), Some(known_as.into()));
        let kind = Kind::IdentityLinked { user, issuer: issuer.name.as_str().into(), known_as };
        let noted = self.record_link(person, issuer, kind, note(issuer, from, Some(claims), None)).await;
        if noted.is_err() {
            self.vault.unlink(&person.id, &identity.issuer).await?;
        }
        noted?;
        let is_theirs = claims.is_verified && claims.email.as_ref() == Some(&person.email);
        if is_theirs && issuer.settings.believes(&person.email) {
            self.vault.prove(person).await?;
        }
        Ok(true)
    }

    /// Linked is vouched for: from now on their keys live as long as the issuer's word holds.
    async fn record_link(&self, person: &Person, issuer: &Issuer, kind: Kind, note: Value) -> Result<(), SessionError> {
        let (user, word) = (person.id.clone(), Word::Issuer(issuer.name.clone(), issuer.settings.holds(), None));
        let (id, said, note) = (self.event_id(), self.event_id(), Scrubbed::of(note));
        let parts = vec![self.seal(&id, &person.account, &note).await?];
        let linked = NewEvent { id, kind, parts, note };
        let written = self.writer.write(Want::default(), move |draft| {
            draft.append(Position(0), linked.clone())?;
            if let Some(kind) = word.event(draft.state(), &user, draft.now) {
                draft.append(Position(0), NewEvent::plain(said.clone(), kind))?;
            }
            Ok(())
        });
        Ok(written.await?)
    }

    /// The person whom an issuer calls so, while the log says that it may vouch for them.
    pub(super) async fn linked(&self, issuer: &str, subject: &str) -> Result<Option<Person>, SessionError> {
        let Some(person) = self.vault.person_of(issuer, subject).await? else { return Ok(None) };
        let (known_as, state) = (self.vault.known_as(issuer, subject).await?, self.head().await?);
        let counts = state.people.get(&person.id).is_some_and(|member| member.linked.contains(&known_as));
        Ok(Some(person).filter(|_| counts))
    }

    /// If the vault has just this link, whether the log has it, too.
    async fn is_written(&self, of: &LinkedIdentity, known_as: &str, person: &Person) -> Result<Option<bool>, SessionError> {
        let there = self.vault.person_of(&of.issuer, &of.subject).await?.is_some_and(|there| there.id == person.id);
        let is_said = self.head().await?.people.get(&person.id).is_some_and(|member| member.linked.contains(known_as));
        Ok(there.then_some(is_said))
    }

    /// Whom issuers know a person as.
    pub async fn identities(&self, visitor: &Visitor) -> Result<Vec<LinkedIdentity>, SessionError> {
        Ok(self.vault.identities(&visitor.person.id).await?)
    }

    /// Parts a person from what an issuer knows them as; nothing, if they were not linked. What its groups gave ends with that:
    /// they are again what the people here made them, or nobody who comes in.
    pub async fn unlink(&self, visitor: &Visitor, issuer: &Issuer, from: &Origin) -> Result<(), SessionError> {
        let (person, address) = (&visitor.person, &issuer.settings.issuer);
        let linked = self.vault.identities(&person.id).await?.into_iter().find(|own| own.issuer == *address);
        let Some(linked) = linked else { return Ok(()) };
        let known_as = self.vault.known_as(&linked.issuer, &linked.subject).await?;
        let (id, note) = (self.event_id(), Scrubbed::of(note(issuer, from, None, None)));
        let parts = vec![self.seal(&id, &person.account, &note).await?];
        let (user, account, name) = (person.id.clone(), person.account.clone(), issuer.name.clone());
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        // The log first: it says whom the issuer may vouch for, and the row alone lets nobody in.
        let left = self.writer.write(Want::default(), move |draft| {
            let given = draft.state().people.get(&user).and_then(|member| member.given.clone());
            let given = given.filter(|given| given.by == known_as);
            let known_as = Some(known_as.as_str().into());
            let kind = Kind::IdentityUnlinked { user: user.clone(), issuer: name.as_str().into(), known_as };
            draft.append(Position(0), NewEvent { id: id.clone(), kind, parts: parts.clone(), note: note.clone() })?;
            let Some(given) = given else { return Ok(None) };
            for kind in without(draft.state(), &user, &account, &name, given.own) {
                draft.append(Position(0), NewEvent::plain(EventId::new(clock.now(), &*entropy), kind))?;
            }
            Ok(given.own)
        });
        let left = left.await?;
        self.vault.unlink(&person.id, address).await?;
        if let Some(role) = left {
            self.vault.set_role(&person.id, role.as_str()).await?;
        }
        Ok(())
    }
}

/// What ends for somebody whose role an issuer gave, and who is `own` without it.
fn without(state: &ControlState, user: &UserId, account: &AccountId, issuer: &str, own: Option<Role>) -> Vec<Kind> {
    let Some(role) = state.people.get(user).and_then(Member::acting_role) else { return Vec::new() };
    match own {
        Some(own) if own == role => Vec::new(),
        Some(own) => role_change(state, user, account, own, None),
        None => {
            let mut kinds = revocations(state, user, None, |_| true);
            kinds.extend(withdrawals(state, user, None));
            kinds.push(Kind::RoleWithdrawn { user: user.clone(), account: account.clone(), issuer: issuer.into(), role });
            kinds
        }
    }
}
