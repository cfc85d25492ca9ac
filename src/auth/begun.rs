//! Beginning a session: recorded first, with what the console acts with for a person from then on.
//!
//! INVARIANT: there is no session that the log does not know of; and none begins by a password or an issuer that is not the
//! person's any more when its row is written, however long it took to look at it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::known::Known;
use super::session::{Browser, Entered, LONGEST, MOST, SessionError, Sessions, Token, digest, idle_since};
use crate::core::decide::INACTIVITY;
use crate::core::event::{CredentialCreated, Kind};
use crate::core::id::{CredentialId, EventId, Position, UserId};
use crate::core::job::Use;
use crate::core::people::revocations;
use crate::core::role::Role;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::log::draft::{Draft, NewEvent};
use crate::log::people::Person;
use crate::log::signed_in::{Proof, Session};
use crate::log::store::Want;

/// Who vouched for somebody who comes in: an issuer by its name, and what it knows them as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voucher<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// Its address.
    pub issuer: &'a str,
    /// What it calls the person.
    pub subject: &'a str,
    /// How long its word holds for their keys.
    pub holds: Duration,
    /// Its groups say their role.
    pub gives: bool,
}

/// How much of the time that an issuer's word holds may be over before it is written down again.
const RENEWED: u32 = 30;

/// What somebody's coming in says of who vouches for them.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// Nothing: they are linked with an issuer, and came in without it.
    Unsaid,
    /// An issuer does, and its word holds so long for their keys. If its groups say their role, what it calls them, as a digest.
    Issuer(String, Duration, Option<String>),
    /// Nobody has to: no issuer knows them, or none any more.
    Nobody,
}

impl Word {
    /// What is written down of it at `now`; nothing, if the log says about the same.
    pub(super) fn event(&self, state: &ControlState, user: &UserId, now: Micros) -> Option<Kind> {
        let member = state.people.get(user)?;
        let (said, user) = (member.vouched_until, user.clone());
        match self {
            Self::Unsaid => None,
            Self::Nobody => said.map(|_| Kind::VouchedFor { user, issuer: None, until: None, gives: None, alone: false }),
            Self::Issuer(name, holds, gives) => {
                let until = now.plus(*holds);
                let is_given = |by: &String| member.given.as_ref().is_some_and(|given| given.by == *by && given.issuer == *name);
                let is_said = said.is_some_and(|said| said <= until && until.since(said) < *holds / RENEWED)
                    && gives.as_ref().is_none_or(is_given);
                let (issuer, gives) = (Some(name.as_str().into()), gives.as_deref().map(Into::into));
                (!is_said).then_some(Kind::VouchedFor { user, issuer, until: Some(until), gives, alone: false })
            }
        }
    }

    /// What ends as the word changes: keys that had ended by an issuer's silence do not live again by a password.
    fn ended(&self, state: &ControlState, user: &UserId, now: Micros) -> Vec<Kind> {
        match self {
            Self::Nobody => revocations(state, user, None, |row| state.is_unvouched(row, now)),
            Self::Unsaid | Self::Issuer(..) => Vec::new(),
        }
    }
}

impl Sessions {
    /// Begins a session after a password. None, if the person has another role or another password by then.
    pub(super) async fn begin(&self, person: &Person, role: Role, from: &Browser) -> Result<Option<Entered>, SessionError> {
        let note = json!({ "address": from.origin.address, "user_agent": from.origin.user_agent });
        self.begin_by(person, role, None, from, note).await
    }

    /// Begins a session: recorded first, in the transaction that finds or makes what it acts with. The session that the
    /// browser had ends with it, and the oldest ones of who has too many. None, if the person has another role by then, or
    /// another password, or is not linked with the issuer any more.
    pub(super) async fn begin_by(
        &self,
        person: &Person,
        role: Role,
        by: Option<Voucher<'_>>,
        from: &Browser,
        note: Value,
    ) -> Result<Option<Entered>, SessionError> {
        let token = Token::generate(&*self.entropy);
        let left = self.left(person, from).await?;
        let ended = left.iter().map(|session| self.ended(session));
        let (signed, note) = (self.event_id(), Scrubbed::of(note));
        let (user, session) = (person.id.clone(), Some(digest(&token.hash())));
        let issuer = by.map(|by| by.name.into());
        let kind = Kind::SignedIn { user, session: session.map(Into::into), issuer };
        let parts = vec![self.seal(&signed, &person.account, &note).await?];
        let events = ended.chain([NewEvent { id: signed, kind, parts, note }]).collect();
        // Who has a password of their own, and whom no issuer knows any more, is one of the people here.
        let word = match by {
            Some(by) => {
                let gives = if by.gives { Some(self.vault.known_as(by.issuer, by.subject).await?) } else { None };
                Word::Issuer(by.name.to_owned(), by.holds, gives)
            }
            None if self.vault.identities(&person.id).await?.is_empty() => Word::Nobody,
            None => Word::Unsaid,
        };
        let Some(credential) = self.acting(person, role, events, word).await? else { return Ok(None) };
        let now = self.clock.now();
        let session = self.session(&token, person, credential, &from.origin);
        let left: Vec<&str> = left.iter().map(|session| session.hash.as_str()).collect();
        let proof = match by {
            Some(Voucher { issuer, subject, .. }) => Proof::Identity { issuer, subject },
            None => Proof::Password(&person.password),
        };
        if !self.vault.begin_session(&session, proof, &left, (now, idle_since(now))).await? {
            self.record(vec![self.ended(&session)]).await?;
            return Ok(None);
        }
        let known = Known::open(from.known.as_deref(), &self.vault, now).await?;
        let known = known.with(&person.id, &self.vault, now, &*self.entropy).await?;
        Ok(Some(Entered { token, known }))
    }

    /// The sessions that end when a person begins another one: that of the browser, and their oldest ones, if they have as
    /// many as they may.
    async fn left(&self, person: &Person, from: &Browser) -> Result<Vec<Session>, SessionError> {
        let before = match &from.session {
            Some(token) => self.vault.session(&token.hash()).await?.map(|(session, _)| session),
            None => None,
        };
        let now = self.clock.now();
        let mut own = self.vault.sessions_of(&person.id, now, idle_since(now)).await?;
        own.retain(|session| before.as_ref().is_none_or(|before| before.hash != session.hash));
        let oldest = own.into_iter().skip(MOST - 1);
        Ok(before.into_iter().chain(oldest).collect())
    }

    fn ended(&self, session: &Session) -> NewEvent {
        let (user, session) = (session.person.clone(), Some(digest(&session.hash).into()));
        self.plain(Kind::SignedOut { user, session, by: None })
    }

    /// Records `events` with what the console acts with for a person from now on. None, if they have another role by then.
    /// `word` is who vouches for them.
    async fn acting(
        &self,
        person: &Person,
        role: Role,
        events: Vec<NewEvent>,
        word: Word,
    ) -> Result<Option<CredentialId>, SessionError> {
        let said = self.event_id();
        let known = acting(&self.writer.fence().state(), person, role);
        let made = self.new_credential(person, role).await?;
        let row = known.map(|credential| format!("use:{credential}"));
        let want = Want { names: row.iter().cloned().collect(), ..Want::default() };
        let (who, fresh) = (person.clone(), made.0.clone());
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let credential = self.writer.write(want, move |draft| {
            if who.acting_role_in(draft.state()) != Some(role) {
                return Ok(None);
            }
            let usable = acting(draft.state(), &who, role).filter(|known| row.as_deref() == Some(&format!("use:{known}")));
            let credential = match usable {
                // With one whose use cannot be read nobody could look at anything, nor stop it: they get another.
                Some(credential) if lives_on(draft, &credential).unwrap_or(false) => credential,
                _ => {
                    draft.append(Position(0), made.1.clone())?;
                    fresh.clone()
                }
            };
            for event in &events {
                draft.append(Position(0), event.clone())?;
            }
            for kind in word.ended(draft.state(), &who.id, draft.now) {
                draft.append(Position(0), NewEvent::plain(EventId::new(clock.now(), &*entropy), kind))?;
            }
            if let Some(kind) = word.event(draft.state(), &who.id, draft.now) {
                draft.append(Position(0), NewEvent::plain(said.clone(), kind))?;
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

/// The credential that the console acts with for a person, if there is a live one with just the rights of the role.
fn acting(state: &ControlState, person: &Person, role: Role) -> Option<CredentialId> {
    let fits =
        |made: &CredentialCreated| made.account == person.account && made.role == Some(role) && made.scopes == role.scopes();
    let live = state.keys_of_user(&person.id).filter(|row| row.revoked_at.is_none() && fits(&row.created));
    live.map(|row| row.created.credential.clone()).next_back()
}

/// Whether it will not die of disuse while the session lasts.
fn lives_on(draft: &Draft, credential: &CredentialId) -> Result<bool, crate::log::store::StoreError> {
    let made = draft.state().credentials.get(credential).map_or(Micros(0), |row| row.created_at);
    let used = draft.get::<Use>(&format!("use:{credential}"))?.map_or(made, |used| used.last.max(made));
    Ok(draft.now.plus(LONGEST).since(used) < INACTIVITY)
}
