//! Beginning a session: recorded first, with what the console acts with for a person from then on.
//!
//! INVARIANT: there is no session that the log does not know of; and none begins by a password or an issuer that is not the
//! person's any more when its row is written, however long it took to look at it.

use std::time::Duration;

use serde_json::{Value, json};

use super::known_browser::KnownBrowser;
use super::session::{Browser, MAX_COUNT, SessionError, Sessions, SignInCookies, Token, digest, idle_since};
use crate::core::commands::session::{NewConsoleKey, SignIn, console_key};
use crate::core::commands::vouching::Word;
use crate::core::id::CredentialId;
use crate::core::role::Role;
use crate::log::signed_in::{Session, SignInProof};
use crate::log::users::UserRecord;

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

impl Sessions {
    /// Begins a session after a password. None, if the person has another role or another password by then.
    pub(super) async fn begin(
        &self,
        person: &UserRecord,
        role: Role,
        from: &Browser,
    ) -> Result<Option<SignInCookies>, SessionError> {
        let note = json!({ "address": from.origin.address, "user_agent": from.origin.user_agent });
        self.begin_by(person, role, None, from, note).await
    }

    /// Begins a session: recorded first, in the transaction that finds or makes what it acts with. The session that the
    /// browser had ends with it, and the oldest ones of who has too many. None, if the person has another role by then, or
    /// another password, or is not linked with the issuer any more.
    pub(super) async fn begin_by(
        &self,
        person: &UserRecord,
        role: Role,
        by: Option<Voucher<'_>>,
        from: &Browser,
        note: Value,
    ) -> Result<Option<SignInCookies>, SessionError> {
        let token = Token::generate(&*self.entropy);
        let left = self.left(person, from).await?;
        let note = self.note(&person.account, note).await?;
        // Who has a password of their own, and whom no issuer knows any more, is one of the people here.
        let word = match by {
            Some(by) => {
                let gives = if by.gives { Some(self.vault.known_as(by.issuer, by.subject).await?) } else { None };
                Word::Issuer(by.name.to_owned(), by.holds, gives)
            }
            None if self.vault.identities(&person.id).await?.is_empty() => Word::Nobody,
            None => Word::Unsaid,
        };
        let console = self.note(&person.account, json!({ "label": "Console" })).await?;
        let known = console_key(&self.writer.fence().state(), &person.id, &person.account, role)
            .map(|row| row.created.credential.clone());
        let command = SignIn {
            user: person.id.clone(),
            account: person.account.clone(),
            role,
            session: digest(&token.hash()),
            issuer: by.map(|by| by.name.to_owned()),
            ended: left.iter().map(|session| (session.person.clone(), digest(&session.hash))).collect(),
            word,
            known,
            fresh: NewConsoleKey {
                credential: CredentialId::new(self.clock.now(), &*self.entropy),
                // Of nothing, so that no bearer token is it.
                hash: Token::generate(&*self.entropy).hash(),
                event: console.id(),
            },
            event: note.id(),
        };
        let begun = self.change([note, console], command).await?.ok().and_then(|begun| begun.answer);
        let Some(credential) = begun else { return Ok(None) };
        let now = self.clock.now();
        let session = self.session(&token, person, credential, &from.origin);
        let left: Vec<&str> = left.iter().map(|session| session.hash.as_str()).collect();
        let proof = match by {
            Some(Voucher { issuer, subject, .. }) => SignInProof::Identity { issuer, subject },
            None => SignInProof::Password(&person.password),
        };
        if !self.vault.begin_session(&session, proof, &left, (now, idle_since(now))).await? {
            self.end_recorded(&person.id, Some(digest(&session.hash))).await?;
            return Ok(None);
        }
        let known = KnownBrowser::open(from.known.as_deref(), &self.vault, now).await?;
        let known = known.with(&person.id, &self.vault, now, &*self.entropy).await?;
        Ok(Some(SignInCookies { token, known }))
    }

    /// The sessions that end when a person begins another one: that of the browser, and their oldest ones, if they have as
    /// many as they may.
    async fn left(&self, person: &UserRecord, from: &Browser) -> Result<Vec<Session>, SessionError> {
        let before = match &from.session {
            Some(token) => self.vault.session(&token.hash()).await?.map(|(session, _)| session),
            None => None,
        };
        let now = self.clock.now();
        let mut own = self.vault.sessions_of(&person.id, now, idle_since(now)).await?;
        own.retain(|session| before.as_ref().is_none_or(|before| before.hash != session.hash));
        let oldest = own.into_iter().skip(MAX_COUNT - 1);
        Ok(before.into_iter().chain(oldest).collect())
    }
}
