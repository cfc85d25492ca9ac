//! A device cookie: it marks a browser in which a user signed in before, so that guesses from elsewhere do not lock the user out.
//!
//! INVARIANT: the cookie signs nobody in. Sealed, it says who signed in here before. It outlives the session, names a few users
//! at most, and gives the browser a guess count of its own.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::guesses::KnownIn;
use super::session::SessionError;
use crate::core::id::UserId;
use crate::core::time::{Entropy, Micros};
use crate::log::users::UserRecord;
use crate::log::vault::{Vault, VaultError};

/// How long it is remembered; browsers keep no cookie for longer.
pub const HOLDS: Duration = Duration::from_hours(400 * 24);

/// Most people of one browser; the one who was there longest ago is forgotten.
const MAX_COUNT: usize = 4;

/// Longest cookie that is looked at.
const MAX_LENGTH: usize = 2048;

/// The key that it is sealed with.
const PURPOSE: &str = "sign-in/known";

/// Who signed in before in one browser, the last one first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KnownBrowser(Vec<KnownUser>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KnownUser {
    person: UserId,
    /// What guesses in this browser are counted by.
    browser: String,
    ends: Micros,
}

impl KnownBrowser {
    /// What a cookie says; nobody, if it is not of ours.
    pub async fn open(cookie: Option<&str>, vault: &Vault, now: Micros) -> Result<Self, SessionError> {
        let cookie = cookie.filter(|text| !text.is_empty() && text.len() <= MAX_LENGTH);
        let Some(sealed) = cookie.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()) else { return Ok(Self::default()) };
        let plain = vault.open_cookie(PURPOSE, &sealed).await?;
        let read = plain.and_then(|plain| serde_json::from_slice::<Self>(&plain).ok()).unwrap_or_default();
        Ok(Self(read.0.into_iter().filter(|known| known.ends > now).take(MAX_COUNT).collect()))
    }

    /// Whether it names nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What guesses of a person in this browser are counted by, if they signed in with it.
    #[must_use]
    pub fn browser_of(&self, person: &UserId) -> Option<&str> {
        self.0.iter().find(|known| known.person == *person).map(|known| known.browser.as_str())
    }

    /// Those of some people who signed in with it.
    #[must_use]
    pub fn among<'a>(&'a self, people: &'a [UserRecord]) -> Vec<KnownIn<'a>> {
        let acquainted = |person: &'a UserRecord| Some(KnownIn { person: &person.id, browser: self.browser_of(&person.id)? });
        people.iter().filter_map(acquainted).collect()
    }

    /// All who signed in with it.
    #[must_use]
    pub fn all(&self) -> Vec<KnownIn<'_>> {
        self.0.iter().map(|known| KnownIn { person: &known.person, browser: &known.browser }).collect()
    }

    /// The cookie of a browser in which a person has signed in now.
    pub async fn with(
        mut self,
        person: &UserId,
        vault: &Vault,
        now: Micros,
        entropy: &dyn Entropy,
    ) -> Result<String, SessionError> {
        let browser = self.browser_of(person).map_or_else(|| fresh(entropy), str::to_owned);
        self.0.retain(|known| known.person != *person);
        self.0.insert(0, KnownUser { person: person.clone(), browser, ends: now.plus(HOLDS) });
        self.0.truncate(MAX_COUNT);
        let plain = serde_json::to_vec(&self).map_err(|_| VaultError::Sealed)?;
        Ok(URL_SAFE_NO_PAD.encode(vault.seal_cookie(PURPOSE, &plain).await?))
    }
}

fn fresh(entropy: &dyn Entropy) -> String {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    hex::encode(random)
}
