//! Linking people with what an issuer knows them as, and parting them from it.
//!
//! INVARIANT: whoever is linked is vouched for from then on, in the same transaction; parting from the issuer makes its last word
//! hold no longer.

use serde_json::Value;

use super::attempt::Attempt;
use super::entry::{Stop, note, refuse};
use super::issuer::{Claims, Issuer};
use super::judge::{Why, is_of};
use crate::auth::begun::Word;
use crate::auth::session::{Origin, SessionError, Sessions, Visitor};
use crate::core::event::Kind;
use crate::core::id::Position;
use crate::core::scrub::Scrubbed;
use crate::log::draft::NewEvent;
use crate::log::identity::LinkedIdentity;
use crate::log::store::Want;
use crate::log::vault::Person;

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
                self.end_what_they_act_with(&known, &issuer.name).await?;
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
        if !self.vault.link(&person.id, &identity).await? && !self.is_unwritten(&identity, &known_as, person).await? {
            return Ok(false);
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
        let (user, word) = (person.id.clone(), Word::Issuer(issuer.name.clone(), issuer.settings.holds()));
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

    /// Whether the vault has just this link, and its event was never written.
    async fn is_unwritten(&self, of: &LinkedIdentity, known_as: &str, person: &Person) -> Result<bool, SessionError> {
        let there = self.vault.person_of(&of.issuer, &of.subject).await?.is_some_and(|there| there.id == person.id);
        let is_said = self.head().await?.people.get(&person.id).is_some_and(|member| member.linked.contains(known_as));
        Ok(there && !is_said)
    }

    /// Whom issuers know a person as.
    pub async fn identities(&self, visitor: &Visitor) -> Result<Vec<LinkedIdentity>, SessionError> {
        Ok(self.vault.identities(&visitor.person.id).await?)
    }

    /// Parts a person from what an issuer knows them as; nothing, if they were not linked.
    pub async fn unlink(&self, visitor: &Visitor, issuer: &Issuer, from: &Origin) -> Result<(), SessionError> {
        let (user, name) = (visitor.person.id.clone(), issuer.name.clone());
        let linked = self.vault.identities(&user).await?.into_iter().find(|own| own.issuer == issuer.settings.issuer);
        let known_as = match linked {
            Some(own) => Some(self.vault.known_as(&own.issuer, &own.subject).await?.into()),
            None => None,
        };
        if self.vault.unlink(&user, &issuer.settings.issuer).await? {
            let kind = Kind::IdentityUnlinked { user, issuer: name.into(), known_as };
            self.record_of(&visitor.person.account, kind, note(issuer, from, None, None)).await?;
        }
        Ok(())
    }
}
