//! One attempt to sign in with an issuer, between leaving for it and coming back.
//!
//! It is kept in a cookie of the browser, sealed, so that any node can go on with it and who only knocks costs no row. Each
//! has a cookie of its own, named by a digest of its state, so that tabs do not take each other's away.
//!
//! INVARIANT: an attempt is its browser's alone, and works once, for ten minutes, and for one issuer.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

use crate::auth::session::Token;
use crate::core::id::{Position, UserId};
use crate::core::time::{Entropy, Micros};
use crate::log::vault::{Vault, VaultError};

/// How long it may take to come back.
pub const HOLDS: Duration = Duration::from_mins(10);

/// Longest address to go on to; a longer one is not remembered.
const NEXT: usize = 1024;

/// The key that attempts are sealed with.
const PURPOSE: &str = "sign-in/attempt";

/// A browser that is sent to an issuer.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// Where to.
    pub authorization_url: Url,
    /// What its cookie is called by.
    pub mark: String,
    /// What it keeps.
    pub sealed: String,
}

/// What the cookie of the attempt with a state is called by. It is no secret: the state is in addresses.
#[must_use]
pub fn mark(state: &str) -> String {
    digest(state).chars().take(16).collect()
}

/// When the attempt in a cookie ends, to tell older ones from newer ones. Nothing is believed for it: what counts is sealed.
#[must_use]
pub fn ends(cookie: &str) -> Micros {
    Micros(cookie.split_once('.').and_then(|(ends, _)| ends.parse().ok()).unwrap_or(0))
}

fn digest(state: &str) -> String {
    hex::encode(Sha256::digest(state.as_bytes()))
}

/// What has to come back, and what it is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// The name of the issuer.
    pub issuer: String,
    /// What the issuer has to give back to the browser.
    pub state: String,
    /// What it has to write into the token.
    pub nonce: String,
    /// What proves to it that we are who sent the browser there (PKCE).
    pub verifier: String,
    /// Where to go on afterwards.
    pub next: String,
    /// Until when it works.
    pub ends: Micros,
    /// The newest event of control state that the node knew when it began: a word of the issuer is no newer than that.
    #[serde(default)]
    pub seen: Position,
    /// Who wants to be known by that issuer from now on, if somebody is signed in and asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<UserId>,
}

impl Attempt {
    /// A new one.
    #[must_use]
    pub fn new(issuer: &str, next: &str, link: Option<UserId>, (now, seen): (Micros, Position), entropy: &dyn Entropy) -> Self {
        let random = || Token::generate(entropy).reveal().to_owned();
        let next = if next.len() > NEXT { String::new() } else { next.to_owned() };
        let (state, nonce, verifier) = (random(), random(), random());
        Self { issuer: issuer.to_owned(), state, nonce, verifier, next, ends: now.plus(HOLDS), seen, link }
    }

    /// The cookie's value, behind the moment at which it ends.
    pub async fn seal(&self, vault: &Vault) -> Result<String, VaultError> {
        let plain = serde_json::to_vec(self).map_err(|_| VaultError::Sealed)?;
        Ok(format!("{}.{}", self.ends.0, URL_SAFE_NO_PAD.encode(vault.seal_cookie(PURPOSE, &plain).await?)))
    }

    /// The attempt in a cookie, if it is one of ours, for this issuer and not over.
    pub async fn open(cookie: &str, issuer: &str, vault: &Vault, now: Micros) -> Result<Option<Self>, VaultError> {
        let sealed = cookie.split_once('.').map_or(cookie, |(_, sealed)| sealed);
        let Ok(sealed) = URL_SAFE_NO_PAD.decode(sealed) else { return Ok(None) };
        let Some(plain) = vault.open_cookie(PURPOSE, &sealed).await? else { return Ok(None) };
        let attempt = serde_json::from_slice::<Self>(&plain).ok();
        Ok(attempt.filter(|attempt| attempt.issuer == issuer && attempt.ends > now))
    }

    /// Whether the issuer gave back what it was given.
    #[must_use]
    pub fn is_state(&self, given: &str) -> bool {
        self.state.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Uses it up; false if it was before.
    pub async fn spend(&self, vault: &Vault, now: Micros) -> Result<bool, VaultError> {
        vault.spend_attempt(&digest(&self.state), self.ends, now).await
    }
}
