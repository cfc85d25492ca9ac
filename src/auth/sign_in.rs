//! Signing in: from an e-mail address and a password to a session.
//!
//! INVARIANT: an unknown e-mail address costs the same work, leaves the same event and gets the same answer as a wrong
//! password; and there is no session that the log does not know of.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::password;
use super::session::{LONGEST, Origin, SessionError, Sessions, Token, Visitor, digest, idle_since};
use crate::core::decide::INACTIVITY;
use crate::core::event::{CredentialCreated, Kind};
use crate::core::id::{CredentialId, Position};
use crate::core::job::Use;
use crate::core::principal::Side;
use crate::core::role::Role;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::log::draft::{Draft, NewEvent};
use crate::log::store::Want;
use crate::log::vault::Person;

/// A person who was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The e-mail address or the password is not right; which one is not said.
    #[error("the e-mail address or the password is not right")]
    Refused,
    /// There were too many attempts.
    #[error("too many attempts; the next one may be made in {0:?}")]
    TooMany(Duration),
    /// It could not be done, or not be written down.
    #[error(transparent)]
    Failed(#[from] SessionError),
}

impl Sessions {
    /// Signs a person in. The answer is the cookie of a session that did not exist before.
    pub async fn sign_in(&self, email: &str, password: &str, from: &Origin) -> Result<Token, SignInError> {
        let email = email.trim();
        let guessed = self.guesses.attempt(&from.address, &email.to_lowercase(), self.clock.now());
        guessed.map_err(SignInError::TooMany)?;
        let person = self.vault.person(email).await.map_err(SessionError::from)?;
        let stored = person.as_ref().map(|person| person.password.clone());
        let right = self.verify(password, stored).await?;
        let role = match &person {
            Some(person) if right => self.role_of(person).await?,
            _ => None,
        };
        let begun = match person.as_ref().zip(role) {
            Some((person, role)) => self.begin(person, role, from).await?,
            None => None,
        };
        if begun.is_none() {
            let note = json!({ "address": from.address, "user_agent": from.user_agent });
            self.note_refusal(person.as_ref(), note).await?;
        }
        begun.ok_or(SignInError::Refused)
    }

    /// The role that a person has at the head of the log, not as this node last saw it.
    pub(super) async fn role_of(&self, person: &Person) -> Result<Option<Role>, SessionError> {
        let person = person.clone();
        Ok(self.writer.write(Want::default(), move |draft| Ok(person.role_in(draft.state()))).await?)
    }

    /// Whether somebody who is signed in knows their password; counted like a sign-in.
    pub async fn confirm(&self, visitor: &Visitor, password: &str, from: &Origin) -> Result<(), SignInError> {
        let person = &visitor.person;
        let guessed = self.guesses.attempt(&from.address, &person.email.to_lowercase(), self.clock.now());
        guessed.map_err(SignInError::TooMany)?;
        let right = self.verify(password, Some(person.password.clone())).await?;
        if right { Ok(()) } else { Err(SignInError::Refused) }
    }

    /// Gives a person another password, and ends their other sessions.
    pub async fn change_password(&self, visitor: &Visitor, fresh: &str) -> Result<(), SessionError> {
        let hash = self.hash(fresh).await?;
        let user = visitor.person.id.clone();
        self.record(vec![self.plain(Kind::PasswordSet { user })]).await?;
        self.vault.set_password(&visitor.person.id, &hash).await?;
        Ok(self.vault.end_sessions(&visitor.person.id, &visitor.session.hash).await?)
    }

    /// Hashing is slow on purpose, so it has threads of its own, and few of them.
    async fn verify(&self, given: &str, stored: Option<String>) -> Result<bool, SessionError> {
        let _turn = self.hashing.acquire().await;
        let (given, exists) = (given.to_owned(), stored.is_some());
        let against = stored.unwrap_or_else(|| self.decoy().to_owned());
        let verified =
            tokio::task::spawn_blocking(move || given.len() <= password::LONGEST && password::verify(&given, &against));
        Ok(verified.await.unwrap_or(false) && exists)
    }

    /// A password to hash in the place of the one that a person who does not exist does not have.
    fn decoy(&self) -> &str {
        self.decoy.get_or_init(|| password::hash(&password::generate(&*self.entropy), &*self.entropy).unwrap_or_default())
    }

    pub(super) async fn hash(&self, fresh: &str) -> Result<String, SessionError> {
        let _turn = self.hashing.acquire().await;
        let (fresh, entropy) = (fresh.to_owned(), Arc::clone(&self.entropy));
        let hashed = tokio::task::spawn_blocking(move || password::hash(&fresh, &*entropy));
        Ok(hashed.await.unwrap_or(Err(password::HashError))?)
    }

    async fn note_refusal(&self, person: Option<&Person>, note: Value) -> Result<(), SessionError> {
        self.note_refusal_by(person, None, note).await
    }

    /// Writes down that somebody was not let in, with a password or by an issuer.
    pub(super) async fn note_refusal_by(
        &self,
        person: Option<&Person>,
        by: Option<&str>,
        note: Value,
    ) -> Result<(), SessionError> {
        let (id, note) = (self.event_id(), Scrubbed::of(note));
        let whose = person.map(|person| person.account.clone()).or_else(|| house(&self.writer.fence().state()));
        let parts = match whose {
            Some(account) => vec![self.seal(&id, &account, &note).await?],
            None => Vec::new(),
        };
        let kind = Kind::SignInRefused { user: person.map(|person| person.id.clone()), issuer: by.map(Into::into) };
        self.record(vec![NewEvent { id, kind, parts, note }]).await
    }

    /// Begins a session after a password. None, if the person has another role by then.
    pub(super) async fn begin(&self, person: &Person, role: Role, from: &Origin) -> Result<Option<Token>, SessionError> {
        let note = json!({ "address": from.address, "user_agent": from.user_agent });
        self.begin_by(person, role, None, from, note).await
    }

    /// Begins a session: recorded first, in the transaction that finds or makes what it acts with. None, if the person has
    /// another role by then.
    pub(super) async fn begin_by(
        &self,
        person: &Person,
        role: Role,
        by: Option<&str>,
        from: &Origin,
        note: Value,
    ) -> Result<Option<Token>, SessionError> {
        let token = Token::generate(&*self.entropy);
        let known = acting(&self.writer.fence().state(), person, role);
        let made = self.new_credential(person, role).await?;
        let (signed, note) = (self.event_id(), Scrubbed::of(note));
        let (user, session) = (person.id.clone(), Some(digest(&token.hash())));
        let kind = Kind::SignedIn { user, session: session.map(Into::into), issuer: by.map(Into::into) };
        let parts = vec![self.seal(&signed, &person.account, &note).await?];
        let event = NewEvent { id: signed, kind, parts, note };
        let row = known.map(|credential| format!("use:{credential}"));
        let want = Want { names: row.iter().cloned().collect(), ..Want::default() };
        let (who, fresh) = (person.clone(), made.0.clone());
        let credential = self.writer.write(want, move |draft| {
            if who.role_in(draft.state()) != Some(role) {
                return Ok(None);
            }
            let usable = acting(draft.state(), &who, role).filter(|known| row.as_deref() == Some(&format!("use:{known}")));
            let credential = match usable {
                Some(credential) if lives_on(draft, &credential)? => credential,
                _ => {
                    draft.append(Position(0), made.1.clone())?;
                    fresh.clone()
                }
            };
            draft.append(Position(0), event.clone())?;
            Ok(Some(credential))
        });
        let Some(credential) = credential.await? else { return Ok(None) };
        let now = self.clock.now();
        self.vault.begin_session(&self.session(&token, person, credential, from), now, idle_since(now)).await?;
        Ok(Some(token))
    }

    /// What the console is to act with for a person in a role. Its hash is of nothing, so no bearer token is it.
    async fn new_credential(&self, person: &Person, role: Role) -> Result<(CredentialId, NewEvent), SessionError> {
        let credential = CredentialId::new(self.clock.now(), &*self.entropy);
        let created = CredentialCreated {
            credential: credential.clone(),
            account: person.account.clone(),
            user: person.id.clone(),
            side: role.side(),
            hash: Token::generate(&*self.entropy).hash().into(),
            prefix: "console".into(),
            scopes: role.scopes(),
            vms: None,
            read_only: false,
            expires_at: None,
            limit: None,
            rotates: None,
            role: Some(role),
            made_by: None,
        };
        let (id, note) = (self.event_id(), Scrubbed::of(json!({ "label": "Console" })));
        let parts = vec![self.seal(&id, &person.account, &note).await?];
        Ok((credential, NewEvent { id, kind: Kind::CredentialCreated(created), parts, note }))
    }
}

/// The credential that the console acts with for a person, if there is a live one with just the rights of the role.
fn acting(state: &ControlState, person: &Person, role: Role) -> Option<CredentialId> {
    let fits = |made: &CredentialCreated| {
        made.user == person.id && made.account == person.account && made.role == Some(role) && made.scopes == role.scopes()
    };
    let live = state.credentials.values().filter(|row| row.revoked_at.is_none() && fits(&row.created));
    live.map(|row| row.created.credential.clone()).next_back()
}

/// Whether it will not die of disuse while the session lasts.
fn lives_on(draft: &Draft, credential: &CredentialId) -> Result<bool, crate::log::store::StoreError> {
    let made = draft.state().credentials.get(credential).map_or(Micros(0), |row| row.created_at);
    let used = draft.get::<Use>(&format!("use:{credential}"))?.map_or(made, |used| used.last.max(made));
    Ok(draft.now.plus(LONGEST).since(used) < INACTIVITY)
}

/// The staff's account, which owns what belongs to no customer.
fn house(state: &ControlState) -> Option<crate::core::id::AccountId> {
    state.accounts.values().find(|account| account.side == Side::Staff).map(|account| account.id.clone())
}
