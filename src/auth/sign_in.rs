//! Signs in with an e-mail address and a password. An address may be one user in each of several accounts; the password tells
//! which.
//!
//! INVARIANT: an unknown e-mail address costs the same work, leaves the same event and gets the same answer as a wrong
//! password. A guess counts against each user whose password it was compared with. A browser that is known for one user gives
//! no extra guesses at another's password.

use std::time::Duration;

use serde_json::{Value, json};

use super::guesses::{GuessSource, KnownIn};
use super::hashing::Line;
use super::known_browser::KnownBrowser;
use super::oidc::decision::{DenialReason, is_of};
use super::oidc::issuer::Issuer;
use super::oidc::{self, Issuers};
use super::password;
use super::session::{Browser, Origin, SessionError, Sessions, SignInCookies, SignedInUser, digest};
use crate::core::commands::notice::{Notice, Notify};
use crate::core::commands::session::SetPassword;
use crate::core::email::EmailAddress;
use crate::core::id::AccountId;
use crate::core::principal::Side;
use crate::core::role::Role;
use crate::log::changing::Note;
use crate::log::users::UserRecord;

/// A person who was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The e-mail address or the password is not right; which one is not said.
    #[error("the e-mail address or the password is not right")]
    Refused,
    /// The password is right, and an issuer says who they are here.
    #[error("{0} says who they are here")]
    ByIssuer(String),
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
    pub async fn sign_in(&self, typed: Typed<'_>, from: &Browser, issuers: &Issuers) -> Result<SignInCookies, SignInError> {
        let now = self.clock.now();
        let email: Option<EmailAddress> = typed.email.parse().ok();
        let known = KnownBrowser::open(from.known.as_deref(), &self.vault, now).await?;
        // A stranger's attempt is counted before anything is looked up for it.
        let early = if known.is_empty() { Vec::new() } else { self.people_of(email.as_ref(), typed.account).await? };
        let acquainted = known.among(&early);
        let guesser = GuessSource { address: &from.origin.address, email: email.as_ref(), known: &acquainted };
        let attempt = self.count(guesser).await?.map_err(SignInError::TooMany)?;
        let tried = if acquainted.is_empty() {
            self.people_of(email.as_ref(), typed.account).await?
        } else {
            early.iter().filter(|person| known.browser_of(&person.id).is_some()).cloned().collect()
        };
        let familiar = tried.first().filter(|_| !acquainted.is_empty());
        let line = familiar.map_or(Line::Stranger(&from.origin.address), |person| Line::of(person, &from.origin.address));
        let right = match self.right(typed.password, email.as_ref(), &tried, line).await {
            Err(SessionError::Busy) => {
                self.uncount(attempt).await;
                return Err(SignInError::Failed(SessionError::Busy));
            }
            other => other?,
        };
        let (right, wrong): (Vec<_>, Vec<_>) = tried.iter().zip(right).partition(|(_, is_right)| *is_right);
        let is_theirs = |person: &UserRecord| familiar.is_some() || typed.account.is_some() || is_vouched_for(person);
        // Each is told of what was no password of theirs, though it was somebody else's.
        let mut told: Vec<&UserRecord> = wrong.into_iter().map(|(person, _)| person).filter(|person| is_theirs(person)).collect();
        let mut deferred = None;
        for (person, _) in right {
            let Some(role) = self.acting_role_of(person).await? else { continue };
            if let Some(issuer) = self.decided_by(person, issuers).await? {
                let note = oidc::callback::note(issuer, &from.origin, None, Some((DenialReason::IssuerDecides, None)));
                self.note_refusal_by(Some(person), Some(&issuer.name), note).await?;
                deferred = Some(issuer.settings.title.clone());
                continue;
            }
            if let Some(entered) = self.begin(person, role, from).await? {
                if !told.is_empty() {
                    self.note_refusals(&told, &from.origin).await?;
                }
                // It is not given back if it was a guess at somebody else's password, too; nor to whom anybody may have
                // invited, so that this does not tell whether there is somebody else.
                if tried.len() == 1 && is_theirs(person) {
                    self.uncount(attempt).await;
                }
                return Ok(entered);
            }
            told.extend(Some(person).filter(|person| is_theirs(person)));
        }
        if let Some(title) = deferred {
            if !told.is_empty() {
                self.note_refusals(&told, &from.origin).await?;
            }
            if let [person] = &*tried
                && is_theirs(person)
            {
                self.uncount(attempt).await;
            }
            return Err(SignInError::ByIssuer(title));
        }
        self.note_refusals(&told, &from.origin).await?;
        Err(SignInError::Refused)
    }

    /// The issuer whose groups say a person's role, if it can be asked: a password does not keep what a group gave.
    async fn decided_by<'i>(&self, person: &UserRecord, issuers: &'i Issuers) -> Result<Option<&'i Issuer>, SessionError> {
        let given = self.head().await?.users.get(&person.id).and_then(|member| member.given.clone());
        let issuer = given.and_then(|given| issuers.get(&given.issuer));
        Ok(issuer.filter(|issuer| !issuer.settings.roles.is_empty() && !issuer.is_away()))
    }

    /// Those with an address, of all accounts or of one.
    pub(super) async fn people_of(
        &self,
        email: Option<&EmailAddress>,
        account: Option<&AccountId>,
    ) -> Result<Vec<UserRecord>, SessionError> {
        let Some(email) = email else { return Ok(Vec::new()) };
        let mut people = self.vault.users_with(email).await?;
        people.retain(|person| account.is_none_or(|account| person.account == *account));
        let mut state = self.writer.fence().state();
        if people.iter().any(|person| !state.users.contains_key(&person.id)) {
            // Another node may have made them a moment ago.
            state = self.head().await?;
        }
        // Of whom the log says nothing is nobody, and has no password.
        people.retain(|person| person.role_in(&state).is_some());
        Ok(people)
    }

    /// Whose password it is. It costs one hash, whoever they are.
    async fn right(
        &self,
        given: &str,
        email: Option<&EmailAddress>,
        people: &[UserRecord],
        line: Line<'_>,
    ) -> Result<Vec<bool>, SessionError> {
        let salt = match email {
            Some(email) => self.vault.salt(email).await?,
            None => [0; 16],
        };
        let (given, stored): (_, Vec<String>) = (given.to_owned(), people.iter().map(|person| person.password.clone()).collect());
        Ok(self.hashing.turn(line, move || password::matching(&given, &stored, salt)).await??)
    }

    /// The role that a person has at the head of the log, not as this node last saw it.
    pub(super) async fn role_of(&self, person: &UserRecord) -> Result<Option<Role>, SessionError> {
        Ok(person.role_in(&*self.head().await?))
    }

    /// The same, if they come in with it: a password does not bring back what an issuer has taken.
    pub(super) async fn acting_role_of(&self, person: &UserRecord) -> Result<Option<Role>, SessionError> {
        Ok(person.acting_role_in(&*self.head().await?))
    }

    /// Whether somebody who is signed in knows their password; counted by themselves, and written down if they do not.
    pub async fn confirm(&self, signed_in: &SignedInUser, password: &str, from: &Origin) -> Result<(), SignInError> {
        let person = &signed_in.person;
        let known = [KnownIn { person: &person.id, browser: person.id.as_str() }];
        let guesser = GuessSource { address: &from.address, email: None, known: &known };
        let attempt = self.count(guesser).await?.map_err(SignInError::TooMany)?;
        let people = std::slice::from_ref(person);
        let right = match self.right(password, Some(&person.email), people, Line::of(person, &from.address)).await {
            Err(SessionError::Busy) => {
                self.uncount(attempt).await;
                return Err(SignInError::Failed(SessionError::Busy));
            }
            other => other?,
        };
        if !right.contains(&true) {
            self.note_refusals(&[person], from).await?;
            return Err(SignInError::Refused);
        }
        self.uncount(attempt).await;
        Ok(())
    }

    /// Gives a person another password in the place of the one that they have confirmed, and ends their other sessions. False
    /// if they have another one by now.
    pub async fn change_password(&self, signed_in: &SignedInUser, fresh: &str, from: &Origin) -> Result<bool, SessionError> {
        let person = &signed_in.person;
        let hash = self.hash(fresh, &person.email, Line::of(person, &from.address)).await?;
        let (user, session) = (person.id.clone(), Some(digest(&signed_in.session.hash)));
        if self.change(None, SetPassword { user, session, event: None }).await?.is_err() {
            // They were removed a moment ago.
            return Ok(false);
        }
        Ok(self.vault.change_password(person, &hash, &signed_in.session.hash).await?)
    }

    /// Hashes a password for storage.
    pub(super) async fn hash(&self, fresh: &str, email: &EmailAddress, line: Line<'_>) -> Result<String, SessionError> {
        let (fresh, salt) = (fresh.to_owned(), self.vault.salt(email).await?);
        Ok(self.hashing.turn(line, move || password::hash_under(&fresh, salt)).await??)
    }

    /// Writes down that a password was wrong, for each of those at whose it was a guess; for nobody in particular, if none of
    /// them is to be told.
    async fn note_refusals(&self, of: &[&UserRecord], from: &Origin) -> Result<(), SessionError> {
        let note = json!({ "address": from.address, "user_agent": from.user_agent, "why": "wrong_password" });
        let whom = of.iter().copied().map(Some).chain(of.is_empty().then_some(None));
        for person in whom {
            self.note_refusal_by(person, None, note.clone()).await?;
        }
        Ok(())
    }

    /// Writes down that somebody was not let in, with a password or by an issuer.
    pub(super) async fn note_refusal_by(
        &self,
        person: Option<&UserRecord>,
        by: Option<&str>,
        note: Value,
    ) -> Result<(), SessionError> {
        let whose = person.map(|person| person.account.clone()).or_else(|| self.writer.fence().state().staff().cloned());
        let note = match whose {
            Some(account) => Some(self.note(&account, note).await?),
            None => None,
        };
        let (user, issuer) = (person.map(|person| person.id.clone()), by.map(str::to_owned));
        let (notice, event) = (Notice::SignInRefused { user, issuer }, note.as_ref().map(Note::id));
        self.change(note, Notify { notice, event }).await?.map(drop).or(Ok(()))
    }
}

/// Whether an address was proved to be a person's, or staff invited them. Of others it may be a stranger who has it, and what
/// that one does under it is not for them to see; where they signed in before, or by the address of their account's form, it is
/// theirs.
fn is_vouched_for(person: &UserRecord) -> bool {
    person.proved || is_of(person, Side::Staff)
}
