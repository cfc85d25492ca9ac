//! Linking people with what an issuer knows them as, and parting them from it.
//!
//! INVARIANT: whoever is linked is vouched for from then on, in the same transaction; parting from the issuer makes its last word
//! hold no longer, and ends what its groups gave.

use serde_json::Value;

use super::attempt::Attempt;
use super::callback::{Stop, note, refuse};
use super::decision::{DenialReason, is_of};
use super::issuer::{Claims, Issuer};
use crate::auth::session::{Origin, SessionError, Sessions, SignedInUser};
use crate::core::commands::issuer::{LinkIdentity, UnlinkIdentity};
use crate::core::commands::vouching::Word;
use crate::log::identity::LinkedIdentity;
use crate::log::users::UserRecord;

impl Sessions {
    /// Links somebody who is signed in, because they asked for it.
    pub(super) async fn link_signed_in(
        &self,
        issuer: &Issuer,
        attempt: &Attempt,
        claims: Claims,
        signed_in: Option<&SignedInUser>,
        from: &Origin,
    ) -> Result<(), Stop> {
        let person = signed_in.map(|signed_in| &signed_in.person).filter(|person| Some(&person.id) == attempt.link.as_ref());
        let Some(person) = person else { return Err(refuse(DenialReason::NotSignedIn, None, Some(claims), None)) };
        if issuer.settings.role_of(&claims.groups).is_err() {
            // It says so of whom it knows already, too.
            if let Some(known) = self.linked(&issuer.settings.issuer, &claims.subject).await? {
                self.end_what_they_act_with(&known, &issuer.name, attempt.seen).await?;
            }
            return Err(refuse(DenialReason::NoRole, None, Some(claims), Some(person.clone())));
        }
        if !is_of(person, issuer.settings.side) {
            return Err(refuse(DenialReason::OtherSide, None, Some(claims), Some(person.clone())));
        }
        if self.link(issuer, person, &claims, from).await? {
            return Ok(());
        }
        Err(refuse(DenialReason::LinkedOtherwise, None, Some(claims), Some(person.clone())))
    }

    /// The vault first: it decides whether both are free.
    pub(super) async fn link(
        &self,
        issuer: &Issuer,
        person: &UserRecord,
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
        let note = note(issuer, from, Some(claims), None);
        let recorded = self.record_link(person, issuer, known_as, note).await;
        if !matches!(recorded, Ok(true)) {
            self.vault.unlink(&person.id, &identity.issuer).await?;
        }
        if !recorded? {
            return Ok(false);
        }
        let is_theirs = claims.is_verified && claims.email.as_ref() == Some(&person.email);
        if is_theirs && issuer.settings.believes(&person.email) {
            self.vault.prove(person).await?;
        }
        Ok(true)
    }

    /// Linked is vouched for: from now on their keys live as long as the issuer's word holds. False, if they are no person any more.
    async fn record_link(
        &self,
        person: &UserRecord,
        issuer: &Issuer,
        known_as: String,
        note: Value,
    ) -> Result<bool, SessionError> {
        let word = Word::Issuer(issuer.name.clone(), issuer.settings.holds(), None);
        let note = self.note(&person.account, note).await?;
        let (user, issuer, event) = (person.id.clone(), issuer.name.clone(), note.id());
        Ok(self.change([note], LinkIdentity { user, issuer, known_as, word, event }).await?.is_ok())
    }

    /// The person whom an issuer calls so, while the log says that it may vouch for them.
    pub(super) async fn linked(&self, issuer: &str, subject: &str) -> Result<Option<UserRecord>, SessionError> {
        let Some(person) = self.vault.user_of(issuer, subject).await? else { return Ok(None) };
        let (known_as, state) = (self.vault.known_as(issuer, subject).await?, self.head().await?);
        let counts = state.users.get(&person.id).is_some_and(|member| member.linked.contains(&known_as));
        Ok(Some(person).filter(|_| counts))
    }

    /// If the vault has just this link, whether the log has it, too.
    async fn is_written(&self, of: &LinkedIdentity, known_as: &str, person: &UserRecord) -> Result<Option<bool>, SessionError> {
        let there = self.vault.user_of(&of.issuer, &of.subject).await?.is_some_and(|there| there.id == person.id);
        let is_said = self.head().await?.users.get(&person.id).is_some_and(|member| member.linked.contains(known_as));
        Ok(there.then_some(is_said))
    }

    /// Whom issuers know a person as.
    pub async fn identities(&self, signed_in: &SignedInUser) -> Result<Vec<LinkedIdentity>, SessionError> {
        Ok(self.vault.identities(&signed_in.person.id).await?)
    }

    /// Parts a person from what an issuer knows them as; nothing, if they were not linked. What its groups gave ends with that:
    /// they are again what the people here made them, or nobody who comes in.
    pub async fn unlink(&self, signed_in: &SignedInUser, issuer: &Issuer, from: &Origin) -> Result<(), SessionError> {
        let (person, address) = (&signed_in.person, &issuer.settings.issuer);
        let linked = self.vault.identities(&person.id).await?.into_iter().find(|own| own.issuer == *address);
        let Some(linked) = linked else { return Ok(()) };
        let known_as = self.vault.known_as(&linked.issuer, &linked.subject).await?;
        let note = self.note(&person.account, note(issuer, from, None, None)).await?;
        let (user, account, issuer, event) = (person.id.clone(), person.account.clone(), issuer.name.clone(), note.id());
        // The log first: it says whom the issuer may vouch for, and the row alone lets nobody in.
        let unlinked = self.change([note], UnlinkIdentity { user, account, issuer, known_as, event }).await?;
        let left = unlinked.ok().and_then(|unlinked| unlinked.answer);
        self.vault.unlink(&person.id, address).await?;
        if let Some(role) = left {
            self.vault.set_role(&person.id, role.as_str()).await?;
        }
        Ok(())
    }
}
