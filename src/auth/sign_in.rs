//! Signing in: from an e-mail address and a password to a session. Several people may have one address, each in an account of
//! their own; the password says who of them it is.
//!
//! INVARIANT: an unknown e-mail address costs the same work, leaves the same event and gets the same answer as a wrong
//! password; and there is no session that the log does not know of.

use std::time::Duration;

use serde_json::{Value, json};

use super::guesses::Guesser;
use super::hashing::Line;
use super::known::Known;
use super::password;
use super::session::{Browser, Entered, LONGEST, Origin, SessionError, Sessions, Token, Visitor, digest, idle_since};
use crate::core::decide::INACTIVITY;
use crate::core::email::EmailAddress;
use crate::core::event::{CredentialCreated, Kind};
use crate::core::id::{AccountId, CredentialId, Position};
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

/// What somebody types to sign in.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'a> {
    /// E-mail address.
    pub email: &'a str,
    /// Password.
    pub password: &'a str,
    /// Which account, for who is a person of several under that address.
    pub account: Option<&'a AccountId>,
}

impl Sessions {
    /// Signs a person in, into a session that did not exist before.
    pub async fn sign_in(&self, typed: Typed<'_>, from: &Browser) -> Result<Entered, SignInError> {
        let now = self.clock.now();
        let email: Option<EmailAddress> = typed.email.parse().ok();
        let known = Known::open(from.known.as_deref(), &self.vault, now).await?;
        // A stranger's attempt is counted before anything is looked up for it.
        let early = if known.is_empty() { Vec::new() } else { self.people_of(email.as_ref(), typed.account).await? };
        let browser = early.iter().find_map(|person| known.browser_of(&person.id));
        let guesser = Guesser { address: &from.origin.address, email: email.as_ref(), browser };
        let attempt = self.guesses.attempt(guesser, now).map_err(SignInError::TooMany)?;
        let line = browser.map_or(Line::Stranger(&from.origin.address), Line::Known);
        let people = if known.is_empty() { self.people_of(email.as_ref(), typed.account).await? } else { early.clone() };
        let right = match self.right(typed.password, email.as_ref(), &people, line).await {
            Err(SessionError::Busy) => {
                self.guesses.give_back(attempt);
                return Err(SignInError::Failed(SessionError::Busy));
            }
            other => other?,
        };
        for person in right {
            let Some(role) = self.role_of(person).await? else { continue };
            if let Some(entered) = self.begin(person, role, from).await? {
                self.guesses.give_back(attempt);
                return Ok(entered);
            }
        }
        let note = json!({ "address": from.origin.address, "user_agent": from.origin.user_agent });
        self.note_refusal(named(&people, &known), note).await?;
        Err(SignInError::Refused)
    }

    async fn people_of(&self, email: Option<&EmailAddress>, account: Option<&AccountId>) -> Result<Vec<Person>, SessionError> {
        let Some(email) = email else { return Ok(Vec::new()) };
        let mut people = self.vault.people_with(email).await?;
        people.retain(|person| account.is_none_or(|account| person.account == *account));
        Ok(people)
    }

    /// Those whose password it is. It costs one hash, whoever they are.
    async fn right<'p>(
        &self,
        given: &str,
        email: Option<&EmailAddress>,
        people: &'p [Person],
        line: Line<'_>,
    ) -> Result<impl Iterator<Item = &'p Person> + use<'p>, SessionError> {
        let salt = match email {
            Some(email) => self.vault.salt(email).await?,
            None => [0; 16],
        };
        let (given, stored): (_, Vec<String>) = (given.to_owned(), people.iter().map(|person| person.password.clone()).collect());
        let right = self.hashing.turn(line, move || password::matching(&given, &stored, salt)).await??;
        Ok(people.iter().zip(right).filter_map(|(person, right)| right.then_some(person)))
    }

    /// The role that a person has at the head of the log, not as this node last saw it.
    pub(super) async fn role_of(&self, person: &Person) -> Result<Option<Role>, SessionError> {
        let person = person.clone();
        Ok(self.writer.write(Want::default(), move |draft| Ok(person.role_in(draft.state()))).await?)
    }

    /// Whether somebody who is signed in knows their password; counted by themselves.
    pub async fn confirm(&self, visitor: &Visitor, password: &str, from: &Origin) -> Result<(), SignInError> {
        let person = &visitor.person;
        let who = person.id.as_str();
        let guesser = Guesser { address: &from.address, email: None, browser: Some(who) };
        let attempt = self.guesses.attempt(guesser, self.clock.now()).map_err(SignInError::TooMany)?;
        let people = std::slice::from_ref(person);
        let is_right = self.right(password, Some(&person.email), people, Line::Known(who)).await?.next().is_some();
        if !is_right {
            return Err(SignInError::Refused);
        }
        self.guesses.give_back(attempt);
        Ok(())
    }

    /// Gives a person another password, and ends their other sessions.
    pub async fn change_password(&self, visitor: &Visitor, fresh: &str) -> Result<(), SessionError> {
        let user = visitor.person.id.clone();
        let hash = self.hash(fresh, &visitor.person.email, Line::Known(user.as_str())).await?;
        self.record(vec![self.plain(Kind::PasswordSet { user })]).await?;
        self.vault.set_password(&visitor.person.id, &hash).await?;
        Ok(self.vault.end_sessions(&visitor.person.id, &visitor.session.hash).await?)
    }

    /// What is stored of a password.
    pub(super) async fn hash(&self, fresh: &str, email: &EmailAddress, line: Line<'_>) -> Result<String, SessionError> {
        let (fresh, salt) = (fresh.to_owned(), self.vault.salt(email).await?);
        Ok(self.hashing.turn(line, move || password::hash_under(&fresh, salt)).await??)
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
    pub(super) async fn begin(&self, person: &Person, role: Role, from: &Browser) -> Result<Option<Entered>, SessionError> {
        let note = json!({ "address": from.origin.address, "user_agent": from.origin.user_agent });
        self.begin_by(person, role, None, from, note).await
    }

    /// Begins a session: recorded first, in the transaction that finds or makes what it acts with. The session that the
    /// browser had ends with it. None, if the person has another role by then.
    pub(super) async fn begin_by(
        &self,
        person: &Person,
        role: Role,
        by: Option<&str>,
        from: &Browser,
        note: Value,
    ) -> Result<Option<Entered>, SessionError> {
        let token = Token::generate(&*self.entropy);
        let before = match &from.session {
            Some(token) => self.vault.session(&token.hash()).await?,
            None => None,
        };
        let left = before.as_ref().map(|(session, person)| {
            self.plain(Kind::SignedOut { user: person.id.clone(), session: Some(digest(&session.hash).into()), by: None })
        });
        let (signed, note) = (self.event_id(), Scrubbed::of(note));
        let (user, session) = (person.id.clone(), Some(digest(&token.hash())));
        let kind = Kind::SignedIn { user, session: session.map(Into::into), issuer: by.map(Into::into) };
        let parts = vec![self.seal(&signed, &person.account, &note).await?];
        let events = left.into_iter().chain([NewEvent { id: signed, kind, parts, note }]).collect();
        let Some(credential) = self.acting(person, role, events).await? else { return Ok(None) };
        let now = self.clock.now();
        let session = self.session(&token, person, credential, &from.origin);
        let before = before.as_ref().map(|(session, _)| session.hash.as_str());
        self.vault.begin_session(&session, before, (now, idle_since(now))).await?;
        let known = Known::open(from.known.as_deref(), &self.vault, now).await?;
        let known = known.with(&person.id, &self.vault, now, &*self.entropy).await?;
        Ok(Some(Entered { token, known }))
    }

    /// Records `events` with what the console acts with for a person from now on. None, if they have another role by then.
    async fn acting(&self, person: &Person, role: Role, events: Vec<NewEvent>) -> Result<Option<CredentialId>, SessionError> {
        let known = acting(&self.writer.fence().state(), person, role);
        let made = self.new_credential(person, role).await?;
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
            for event in &events {
                draft.append(Position(0), event.clone())?;
            }
            Ok(Some(credential))
        });
        Ok(credential.await?)
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

/// Whom a refused sign-in is shown with. Somebody whose address nobody proved may not be who has it, and what others do
/// under it is not for them to see; in a browser in which they signed in before, it is theirs.
fn named<'p>(people: &'p [Person], known: &Known) -> Option<&'p Person> {
    let by_browser = people.iter().find(|person| known.browser_of(&person.id).is_some());
    by_browser.or_else(|| people.iter().find(|person| person.proved))
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
