//! One attempt to sign in with an issuer, between leaving for it and coming back.
//!
//! It is kept in the browser's cookie, sealed, so that any node can go on with it and who only knocks costs no row.
//!
//! INVARIANT: an attempt is its browser's alone, and works once, for ten minutes, and for one issuer.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::auth::session::Token;
use crate::core::id::UserId;
use crate::core::time::{Entropy, Micros};
use crate::log::vault::{Vault, VaultError};

/// How long it may take to come back.
pub const HOLDS: Duration = Duration::from_mins(10);

/// Longest address to go on to; a longer one is not remembered.
const NEXT: usize = 1024;

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
    /// Who wants to be known by that issuer from now on, if somebody is signed in and asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<UserId>,
}

impl Attempt {
    /// A new one.
    #[must_use]
    pub fn new(issuer: &str, next: &str, link: Option<UserId>, now: Micros, entropy: &dyn Entropy) -> Self {
        let random = || Token::generate(entropy).reveal().to_owned();
        let next = if next.len() > NEXT { String::new() } else { next.to_owned() };
        let (state, nonce, verifier) = (random(), random(), random());
        Self { issuer: issuer.to_owned(), state, nonce, verifier, next, ends: now.plus(HOLDS), link }
    }

    /// The cookie's value.
    pub async fn seal(&self, vault: &Vault) -> Result<String, VaultError> {
        let plain = serde_json::to_vec(self).map_err(|_| VaultError::Sealed)?;
        Ok(URL_SAFE_NO_PAD.encode(vault.seal_attempt(&plain).await?))
    }

    /// The attempt in a cookie, if it is one of ours, for this issuer and not over.
    pub async fn open(cookie: &str, issuer: &str, vault: &Vault, now: Micros) -> Result<Option<Self>, VaultError> {
        let Ok(sealed) = URL_SAFE_NO_PAD.decode(cookie) else { return Ok(None) };
        let Some(plain) = vault.open_attempt(&sealed).await? else { return Ok(None) };
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
        vault.spend_attempt(&hex::encode(Sha256::digest(self.state.as_bytes())), self.ends, now).await
    }
}
