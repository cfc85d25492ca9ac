//! Sessions of the console: who a browser's cookie stands for.
//!
//! A session acts with one credential per person and role, which the log names like any key; switches, limits, policies and
//! revocation are the same as for keys. The cookie's value is 256 random bits, of which only a digest is stored.
//!
//! INVARIANT: each request reads the session and its user from the vault. A session counts only if the log says that it began
//! and has not ended, that its user exists, and that the role is still the same. A row without these events is no session.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::guesses::Guesses;
use super::hashing::{Busy, Hashing};
use super::password::HashError;
use crate::core::commands::Command;
use crate::core::commands::session::{EndSessions, Ender};
use crate::core::id::{AccountId, EventId, UserId};
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::scrub::{Scrubbed, ScrubbedText};
use crate::core::state::ControlState;
use crate::core::time::{Clock, Entropy, Micros};
pub use crate::core::user::MAX_SESSION;
use crate::log::changing::{Author, Changed, Ids, Note};
use crate::log::signed_in::Session;
use crate::log::users::UserRecord;
use crate::log::vault::{Vault, VaultError};
use crate::log::writer::{WriteError, Writer};

/// A session that was not used for this long has ended.
pub const IDLE: Duration = Duration::from_hours(1);

/// Most sessions of one person; the oldest ends when there is another.
pub const MAX_COUNT: usize = 20;

/// How exactly it is noted when a session was last used.
const NOTED: Duration = Duration::from_mins(1);

/// Something about sessions that failed on our side.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The vault.
    #[error("using the vault for a session")]
    Vault(#[from] VaultError),
    /// The log: what is not written down does not happen.
    #[error("recording a session")]
    Write(#[from] WriteError),
    /// A password.
    #[error(transparent)]
    Password(#[from] HashError),
    /// Too many passwords wait to be hashed; nothing failed, and it may be tried again at once.
    #[error("too many passwords are being hashed")]
    Busy,
}

impl From<Busy> for SessionError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

/// What a browser keeps, or a link carries. `Debug` hides it.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

impl Token {
    /// A new one.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut random = [0; 32];
        entropy.fill(&mut random);
        Self(URL_SAFE_NO_PAD.encode(random).into())
    }

    /// What came back; any text, for it is only ever hashed.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self(text.to_owned().into())
    }

    /// The token itself, for the cookie or the link.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// SHA-256, hex: what is stored. 256 random bits need no salt.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.reveal().as_bytes()))
    }

    /// What every form of the session carries. Whoever knows it does not know the cookie.
    #[must_use]
    pub fn form_token(&self) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.reveal().as_bytes()) else { return String::new() };
        mac.update(b"forelog console form");
        hex::encode(mac.finalize().into_bytes())
    }

    /// Whether a form came from this session.
    #[must_use]
    pub fn is_of_form(&self, given: &str) -> bool {
        let own = self.form_token();
        !own.is_empty() && own.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// What the log has of a session id: ids are bearer-like.
#[must_use]
pub fn digest(id: &str) -> String {
    hex::encode(Sha256::digest(id.as_bytes())).chars().take(32).collect()
}

/// A person who is signed in.
#[derive(Clone, Debug)]
pub struct SignedInUser {
    /// Who.
    pub person: UserRecord,
    /// Their role, which is also the credential's.
    pub role: Role,
    /// The session.
    pub session: Session,
    /// Its cookie.
    pub token: Token,
}

impl SignedInUser {
    /// Customer or staff.
    #[must_use]
    pub fn side(&self) -> Side {
        self.role.side()
    }
}

/// Where a request comes from; written down encrypted, never used to decide.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The address that guesses are counted by.
    pub address: String,
    /// What the client says it is.
    pub user_agent: Option<String>,
}

/// A browser that somebody signs in with.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// Where it is.
    pub origin: Origin,
    /// What it keeps of who signed in with it before, as [`super::known_browser`] wrote it.
    pub known: Option<String>,
    /// The session that it has, which ends when another one begins.
    pub session: Option<Token>,
}

/// What a browser keeps from now on.
#[derive(Clone, Debug)]
pub struct SignInCookies {
    /// Its new session.
    pub token: Token,
    /// Who signed in with it.
    pub known: String,
}

/// Everybody who is signed in.
pub struct Sessions {
    pub(super) writer: Writer,
    pub(super) vault: Arc<Vault>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) guesses: Guesses,
    pub(super) hashing: Hashing,
}

impl Sessions {
    /// Sessions in `vault`, recorded by `writer`.
    #[must_use]
    pub fn new(writer: Writer, vault: Arc<Vault>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { writer, vault, clock, entropy, guesses: Guesses::default(), hashing: Hashing::default() }
    }

    /// Who a cookie stands for now; nobody, if its session has ended.
    pub async fn find(&self, token: &Token) -> Result<Option<SignedInUser>, SessionError> {
        let Some((person, role, session)) = self.standing(&token.hash()).await? else { return Ok(None) };
        let now = self.clock.now();
        if now.since(session.seen) >= NOTED {
            self.vault.touch_session(&session.hash, now).await?;
        }
        Ok(Some(SignedInUser { person, role, session, token: token.clone() }))
    }

    /// Whether somebody is still signed in by a session, as pages ask; it is not used by that.
    pub async fn stands(&self, hash: &str) -> Result<bool, SessionError> {
        Ok(self.standing(hash).await?.is_some())
    }

    async fn standing(&self, hash: &str) -> Result<Option<(UserRecord, Role, Session)>, SessionError> {
        let Some((session, person)) = self.vault.session(hash).await? else { return Ok(None) };
        let now = self.clock.now();
        if session.ends <= now || now.since(session.seen) >= IDLE {
            return Ok(None);
        }
        let own = digest(&session.hash);
        let began = |state: &ControlState| state.users.get(&person.id).is_some_and(|member| member.is_in(&own, now));
        let mut state = self.writer.fence().state();
        if !began(&state) {
            // It may have begun on another node a moment ago, and this one has not heard of it yet.
            state = self.head().await?;
        }
        let Some(role) = person.acting_role_in(&state).filter(|_| began(&state)) else { return Ok(None) };
        let acts = state.credentials.get(&session.credential).filter(|row| row.revoked_at.is_none());
        if acts.is_none_or(|row| row.created.role != Some(role) || row.created.user != person.id) {
            return Ok(None);
        }
        Ok(Some((person, role, session)))
    }

    /// Ends a session, or all of its person's; written down first.
    pub async fn sign_out(&self, signed_in: &SignedInUser, all: bool) -> Result<(), SessionError> {
        let session = (!all).then(|| digest(&signed_in.session.hash));
        self.end_recorded(&signed_in.person.id, session).await?;
        if all {
            self.vault.end_sessions(&signed_in.person.id, "").await?;
        } else {
            self.vault.end_session(&signed_in.session.hash).await?;
        }
        Ok(())
    }

    /// Records that a session of somebody has ended, or all of them.
    pub(super) async fn end_recorded(&self, user: &UserId, session: Option<String>) -> Result<(), SessionError> {
        let command = EndSessions { user: user.clone(), session, by: Ender::Themselves };
        self.change(None, command).await?.map(drop).or(Ok(()))
    }

    /// Runs a command in the transaction of its writing.
    pub(super) async fn change<C: Command>(
        &self,
        notes: impl IntoIterator<Item = Note>,
        command: C,
    ) -> Result<Result<Changed<C::Answer>, Refusal>, SessionError> {
        let (ids, notes) = (Ids::new(&self.clock, &self.entropy), notes.into_iter().collect());
        Ok(self.writer.change(Author::Node, ids, notes, command).await?)
    }

    /// Free text of an event, sealed for an account.
    pub(super) async fn note(&self, whose: &AccountId, note: Value) -> Result<Note, SessionError> {
        let (id, now, note) = (EventId::new(self.clock.now(), &*self.entropy), self.clock.now(), Scrubbed::of(note));
        let part = self.vault.seal(whose, now, &id, "note", &note).await?;
        Ok(Note::sealed(id, part, note))
    }

    /// Control state at the head of the log, not as this node last saw it.
    pub(super) async fn head(&self) -> Result<Arc<ControlState>, SessionError> {
        Ok(Arc::clone(self.writer.fresh().await?.state()))
    }

    /// Erases a user whose creation failed, unless the log may hold the event after all.
    pub(super) async fn erase_unmade(&self, person: &UserRecord, error: &SessionError) {
        if matches!(error, SessionError::Write(WriteError::Store { uncertain: true, .. })) {
            return;
        }
        if let Err(error) = self.vault.erase_user(&person.id).await {
            tracing::warn!(user = %person.id, %error, "somebody who did not become a person is not erased yet");
        }
    }

    pub(super) fn session(
        &self,
        token: &Token,
        person: &UserRecord,
        credential: crate::core::id::CredentialId,
        from: &Origin,
    ) -> Session {
        let (now, person) = (self.clock.now(), person.id.clone());
        let (address, user_agent) = (Some(from.address.clone()), from.user_agent.as_deref().map(ScrubbedText::of));
        Session {
            hash: token.hash(),
            person,
            credential,
            began: now,
            seen: now,
            ends: now.plus(MAX_SESSION),
            address,
            user_agent,
        }
    }
}

/// A session that was last used then, or before, has ended at `now`.
#[must_use]
pub fn idle_since(now: Micros) -> Micros {
    Micros(now.0.saturating_sub(i64::try_from(IDLE.as_micros()).unwrap_or(i64::MAX)))
}
