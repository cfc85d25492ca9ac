//! From a browser that an issuer sent back to a session, or to a link between the two.
//!
//! INVARIANT: who is let in, who is not, and who is linked is written down first; an attempt is used up before the issuer
//! is asked anything about it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::attempt::{Attempt, Left, mark};
use super::issuer::{Claims, Issuer, IssuerError};
use super::judge::{Verdict, Why, judge};
use crate::auth::begun::Voucher;
use crate::auth::guesses::Guesser;
use crate::auth::hashing::Line;
use crate::auth::session::{Browser, Entered, Origin, SessionError, Sessions, Token, Visitor};
use crate::core::email::EmailAddress;
use crate::core::event::Kind;
use crate::core::id::{AccountId, EventId, Position, UserId};
use crate::core::member::role_change;
use crate::core::principal::Side;
use crate::core::role::Role;
use crate::core::scrub::Scrubbed;
use crate::log::draft::NewEvent;
use crate::log::people::AWAITED;
use crate::log::store::Want;
use crate::log::vault::Person;

/// What an issuer gives a browser to bring back.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Back {
    /// The state of the attempt.
    #[serde(default)]
    pub state: String,
    /// What the token is given for.
    pub code: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
    /// Who sent them back.
    pub iss: Option<String>,
}

/// Where somebody came back to.
#[derive(Debug)]
pub enum Arrived {
    /// They are signed in.
    In {
        /// What the browser keeps.
        entered: Entered,
        /// Where they wanted to go on.
        next: String,
    },
    /// They were, and the issuer knows them from now on.
    Linked,
}

/// What a browser that comes back has kept.
#[derive(Clone, Copy, Default)]
pub struct Kept<'a> {
    /// The attempt whose state came back, sealed.
    pub attempt: Option<&'a str>,
    /// It keeps attempts, with other states.
    pub has_others: bool,
    /// Who is signed in in it.
    pub visitor: Option<&'a Visitor>,
}

/// Somebody who did not come in.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// For a reason that is theirs, or their issuer's.
    #[error("not let in: {}", .0.as_str())]
    Refused(Why),
    /// There were too many attempts.
    #[error("too many attempts; the next one may be made in {0:?}")]
    TooMany(Duration),
    /// It could not be done, or not be written down.
    #[error(transparent)]
    Failed(#[from] SessionError),
}

/// What is written down of whoever did not come in.
pub(super) struct Refused {
    why: Why,
    detail: Option<String>,
    claims: Option<Claims>,
    person: Option<Person>,
}

impl From<Why> for Refused {
    fn from(why: Why) -> Self {
        Self { why, detail: None, claims: None, person: None }
    }
}

pub(super) enum Stop {
    Refused(Box<Refused>),
    Failed(SessionError),
}

impl From<Why> for Stop {
    fn from(why: Why) -> Self {
        Self::Refused(Box::new(why.into()))
    }
}

impl<E: Into<SessionError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Sessions {
    /// Begins an attempt: where to send the browser, and the cookie that it has to come back with. Nothing is stored.
    pub async fn leave_for(&self, issuer: &Issuer, next: &str, link: Option<UserId>) -> Result<Left, EntryError> {
        let attempt = Attempt::new(&issuer.name, next, link, self.clock.now(), &*self.entropy);
        let door = issuer.door(&attempt).await.map_err(|error| EntryError::Refused(why(&error)))?;
        let sealed = attempt.seal(&self.vault).await.map_err(SessionError::from)?;
        Ok(Left { door, mark: mark(&attempt.state), sealed })
    }

    /// Ends an attempt, if the browser has kept one with the state that came back; others that it keeps are not touched.
    pub async fn come_back(&self, issuer: &Issuer, back: &Back, kept: Kept<'_>, from: &Browser) -> Result<Arrived, EntryError> {
        let guesser = Guesser { address: &from.origin.address, email: None, known: &[] };
        let counted = self.count(guesser).await?.map_err(EntryError::TooMany)?;
        match self.arrive(issuer, back, kept, from).await {
            Ok(arrived) => {
                self.uncount(counted).await;
                Ok(arrived)
            }
            Err(Stop::Failed(error)) => Err(EntryError::Failed(error)),
            Err(Stop::Refused(refused)) => {
                let note = note(issuer, &from.origin, refused.claims.as_ref(), Some((refused.why, refused.detail)));
                self.note_refusal_by(refused.person.as_ref(), Some(&issuer.name), note).await?;
                Err(EntryError::Refused(refused.why))
            }
        }
    }

    async fn arrive(&self, issuer: &Issuer, back: &Back, kept: Kept<'_>, from: &Browser) -> Result<Arrived, Stop> {
        let now = self.clock.now();
        let attempt = Attempt::open(kept.attempt.unwrap_or_default(), &issuer.name, &self.vault, now).await?;
        let attempt = attempt.ok_or(if kept.has_others { Why::WrongState } else { Why::NoAttempt })?;
        if !attempt.is_state(&back.state) {
            return Err(Why::WrongState.into());
        }
        if !attempt.spend(&self.vault, now).await? {
            return Err(Why::Replayed.into());
        }
        let code = back.code.as_deref().filter(|_| back.error.is_none()).ok_or(Why::Denied)?;
        let redeemed = issuer.redeem(code, back.iss.as_deref(), &attempt, now).await;
        let claims = redeemed.map_err(|error| {
            tracing::warn!(issuer = issuer.name, %error, "nobody was signed in, for what an issuer answered");
            refuse(why(&error), Some(error.to_string()), None, None)
        })?;
        if attempt.link.is_some() {
            self.link_visitor(issuer, &attempt, claims, kept.visitor, &from.origin).await?;
            return Ok(Arrived::Linked);
        }
        let entered = self.enter(issuer, &claims, from).await?;
        Ok(Arrived::In { entered, next: attempt.next })
    }

    async fn enter(&self, issuer: &Issuer, claims: &Claims, from: &Browser) -> Result<Entered, Stop> {
        let refused = |why, person| refuse(why, None, Some(claims.clone()), person);
        let linked = self.linked(&issuer.settings.issuer, &claims.subject).await?;
        let namesakes = match &claims.email {
            Some(email) if linked.is_none() => self.people_of(Some(email), None).await?,
            _ => Vec::new(),
        };
        let had = linked.clone();
        let known = linked.clone().or_else(|| namesakes.iter().find(|person| person.proved).cloned());
        let (person, role, link) = match judge(&issuer.settings, claims, linked, &namesakes) {
            Verdict::Enter { person, role, link } => (person, role, link),
            Verdict::Create { email, role } => {
                self.check_unknown_before(&issuer.settings.issuer, claims).await?;
                (self.create(&email, role, issuer, &from.origin).await?, Some(role), true)
            }
            Verdict::Refuse(why) => {
                if let Some(person) = had.filter(|_| why == Why::NoRole) {
                    self.end_what_they_act_with(&person, &issuer.name).await?;
                }
                return Err(refused(why, known));
            }
        };
        // Whom somebody has removed, no issuer brings back.
        let Some(had) = self.role_of(&person).await? else { return Err(refused(Why::Unknown, Some(person))) };
        if link && !self.link(issuer, &person, claims, &from.origin).await? {
            return Err(refused(Why::LinkedOtherwise, Some(person)));
        }
        let acts = self.acting_role_of(&person).await?;
        // What one issuer has taken, another one does not give back by knowing nothing of roles.
        let Some(role) = role.or(acts) else { return Err(refused(Why::NoRole, Some(person))) };
        if role != had || acts.is_none() {
            self.give_role(&person, role, issuer).await?;
        }
        let note = note(issuer, &from.origin, Some(claims), None);
        let by = Voucher {
            name: &issuer.name,
            issuer: &issuer.settings.issuer,
            subject: &claims.subject,
            holds: issuer.settings.holds(),
        };
        let begun = self.begin_by(&person, role, Some(by), from, note).await?;
        begun.ok_or_else(|| refused(Why::Unknown, Some(person)))
    }

    /// Makes a person of the staff. They have no password that anybody knows.
    async fn create(&self, email: &EmailAddress, role: Role, issuer: &Issuer, from: &Origin) -> Result<Person, Stop> {
        let state = self.head().await?;
        let account = state.staff().cloned().ok_or(Why::Unknown)?;
        let person = Person {
            id: UserId::new(self.clock.now(), &*self.entropy),
            account: account.clone(),
            side: "staff".into(),
            role: role.as_str().into(),
            email: email.clone(),
            proved: true,
            password: self.hash(Token::generate(&*self.entropy).reveal(), email, Line::Stranger(&from.address)).await?,
        };
        // The vault first: an event must not name a person who is not there. Nor are they somebody before that.
        self.vault.add_as(AWAITED, &person, |other| state.people.contains_key(other)).await?;
        match self.record_created(&person, role, issuer).await {
            Ok(true) => {}
            // Somebody took an invitation for it a moment ago.
            Ok(false) => {
                self.vault.erase_person(&person.id).await?;
                return Err(Why::LinkedOtherwise.into());
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
    async fn record_created(&self, person: &Person, role: Role, issuer: &Issuer) -> Result<bool, SessionError> {
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
            Ok(true)
        });
        Ok(written.await?)
    }

    /// Gives a person the role that their groups have now; sessions and keys end as by a change of role in the console.
    async fn give_role(&self, person: &Person, role: Role, issuer: &Issuer) -> Result<(), Stop> {
        let (user, account) = (person.id.clone(), person.account.clone());
        let note = Scrubbed::of(json!({ "issuer": issuer.settings.issuer }));
        let id = self.event_id();
        let parts = vec![self.seal(&id, &account, &note).await?];
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let written = self.writer.write(Want::default(), move |draft| {
            let mut kinds = role_change(draft.state(), &user, &account, role, None);
            let changed = kinds.pop().map(|kind| NewEvent { id: id.clone(), kind, parts: parts.clone(), note: note.clone() });
            let ended = kinds.into_iter().map(|kind| NewEvent::plain(EventId::new(clock.now(), &*entropy), kind));
            for event in ended.chain(changed) {
                draft.append(Position(0), event)?;
            }
            Ok(())
        });
        written.await.map_err(SessionError::from)?;
        Ok(self.vault.set_role(&person.id, role.as_str()).await?)
    }

    pub(super) async fn record_of(&self, account: &AccountId, kind: Kind, note: Value) -> Result<(), SessionError> {
        let (id, note) = (self.event_id(), Scrubbed::of(note));
        let parts = vec![self.seal(&id, account, &note).await?];
        self.record(vec![NewEvent { id, kind, parts, note }]).await
    }
}

fn why(error: &IssuerError) -> Why {
    match error {
        IssuerError::Unreached(_) => Why::Unavailable,
        IssuerError::Misanswered { at, .. } => Why::Misanswered(*at),
        IssuerError::NoToken(_) => Why::NoToken,
        IssuerError::Untrue { check, .. } => Why::Untrue(*check),
    }
}

pub(super) fn refuse(why: Why, detail: Option<String>, claims: Option<Claims>, person: Option<Person>) -> Stop {
    Stop::Refused(Box::new(Refused { why, detail, claims, person }))
}

/// What is written down, encrypted: where they came from, and what was said of them.
pub(super) fn note(issuer: &Issuer, from: &Origin, claims: Option<&Claims>, refused: Option<(Why, Option<String>)>) -> Value {
    let (why, detail) = refused.map_or((None, None), |(why, detail)| (Some(why.as_str()), detail));
    json!({
        "address": from.address,
        "user_agent": from.user_agent,
        "issuer": issuer.settings.issuer,
        "subject": claims.map(|claims| &claims.subject),
        "email": claims.and_then(|claims| claims.email_as_said.as_ref()),
        "why": why,
        "detail": detail,
    })
}
