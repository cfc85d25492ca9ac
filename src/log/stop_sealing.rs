//! Seals the text of stops: with keys in memory, or not at all if the vault does not answer (P15).
//!
//! INVARIANT: a stop waits for the vault at most [`TIMEOUT`] for each key, and not at all while the vault is known not to
//! answer. A part that cannot be sealed then is named by its leaf as left out, with the reason.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::binding::Binding;
use super::data_key::{digest_key, month_key};
use super::dialect::{Dialect, SQLITE};
use super::sql::{Database, Row, SqlError, Transaction, Value};
use super::vault::{DataKey, SealedPart, Vault, VaultError};
use crate::core::error_chain::error_chain;
use crate::core::event::{LeftOut, Part};
use crate::core::id::AccountId;
use crate::core::scrub::Scrubbed;
use crate::core::time::{Entropy, Micros};
use crate::core::tool::ToolSpec;

/// How long a stop waits for a key that is not in memory.
const TIMEOUT: Duration = Duration::from_millis(500);

/// How long the vault may take to answer when it is only looked at.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Keys are in memory so long before their month begins.
const AHEAD: Duration = Duration::from_hours(24);

/// What has to be if a part cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealingNeed {
    /// Nothing is written: whatever is done has to be recorded whole (P1).
    Always,
    /// It is written without that part, which the leaf says: it stops something.
    IfAtHand,
}

impl SealingNeed {
    /// For a call of this tool.
    #[must_use]
    pub fn of(tool: Option<&ToolSpec>) -> Self {
        if tool.is_some_and(ToolSpec::halts) { Self::IfAtHand } else { Self::Always }
    }
}

impl SealedPart {
    /// A part that was not stored.
    fn left_out(part: &str, size: usize) -> Self {
        let (nothing, why) = (String::new(), Some(LeftOut::VaultAway));
        let part = Part {
            part: part.into(),
            size: size as u64,
            truncated: false,
            sha256: nothing.clone().into(),
            commit: nothing.into(),
            left_out: why,
        };
        Self { part, key: String::new(), body: Vec::new() }
    }

    /// Whether nothing of it is stored.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        self.part.left_out.is_some()
    }
}

impl Vault {
    /// Placeholder for an unusable vault: it has no data key, and returns the reason to callers that need one.
    #[must_use]
    pub fn away(why: &str, wrapping: Zeroizing<[u8; 32]>, entropy: Arc<dyn Entropy>) -> Self {
        let vault = Self::over(Box::new(Absent { why: why.to_owned() }), wrapping, entropy);
        vault.note_away(true);
        vault
    }

    /// Whether it did not answer when it was asked last.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Whether the one that was opened is gone for good: another one is in its place, or what it held was taken from it. What
    /// is sealed with keys that are in memory could then never be opened again.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    fn note_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// Encrypts one part as [`Vault::seal`] does; what is not needed always is left out if no key is at hand.
    pub async fn seal_as(
        &self,
        need: SealingNeed,
        account: &AccountId,
        at: Micros,
        of: impl Into<Binding>,
        part: &str,
        document: &Scrubbed,
    ) -> Result<SealedPart, VaultError> {
        if need == SealingNeed::Always {
            return self.seal(account, at, of, part, document).await;
        }
        match self.key_at_hand(account, at).await {
            Some((id, key)) => self.seal_under(&id, &key, &of.into(), part, document),
            None => Ok(SealedPart::left_out(part, document.bytes().len())),
        }
    }

    /// The digest of [`Vault::digest`]; empty if it is not needed always and the key for it is not at hand.
    pub async fn digest_as(&self, need: SealingNeed, account: &AccountId, bytes: &[u8]) -> Result<String, VaultError> {
        if need == SealingNeed::IfAtHand && self.cached(&digest_key(account)).is_none() {
            return Ok(self.soon(self.digest(account, bytes)).await.unwrap_or_default());
        }
        self.digest(account, bytes).await
    }

    /// The account's key of the month; if the vault does not answer, the newest one of the account that is in memory.
    async fn key_at_hand(&self, account: &AccountId, at: Micros) -> Option<(String, DataKey)> {
        let id = month_key(account, at);
        if let Some(key) = self.cached(&id) {
            return Some((id, key));
        }
        if let Some(found) = self.soon(self.named_key(&id)).await {
            return Some(found);
        }
        let (prefix, digest) = (format!("{account}/"), digest_key(account));
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let own = keys.iter().filter(|(id, _)| id.starts_with(&prefix) && **id != digest);
        own.max_by_key(|(id, _)| id.as_str()).map(|(id, key)| (id.clone(), Arc::clone(key)))
    }

    /// What is asked of the vault, if it answers soon.
    async fn soon<T>(&self, asked: impl Future<Output = Result<T, VaultError>>) -> Option<T> {
        if self.is_away() {
            return None;
        }
        let answer = tokio::time::timeout(TIMEOUT, asked).await.unwrap_or(Err(SqlError::TooLong(TIMEOUT).into()));
        let error = match answer {
            Ok(answer) => return Some(answer),
            Err(error) => error,
        };
        if matches!(error, VaultError::Sql(_)) {
            self.note_away(true);
        }
        tracing::error!(error = error_chain(&error), "a stop goes on without the vault");
        None
    }

    /// Looks whether the vault answers, and brings into memory what sealing for `account` takes now and in the next day.
    pub async fn warm(&self, account: Option<&AccountId>, at: Micros) -> Result<(), VaultError> {
        let looking = async {
            self.database().check().await?;
            let Some(account) = account else {
                self.database().query("select id from data_key limit 1", Vec::new()).await?;
                return Ok(());
            };
            let known = digest_key(account);
            if self.cached(&known).is_some() {
                let rows = self.database().query("select id from data_key where id = $1", vec![known.as_str().into()]).await?;
                if rows.is_empty() {
                    return Err(SqlError::Open("it does not hold the keys that it held: it is another one".into()).into());
                }
            }
            self.named_key(&known).await?;
            self.named_key(&month_key(account, at)).await?;
            self.named_key(&month_key(account, at.plus(AHEAD))).await.map(|_| ())
        };
        let looked = tokio::time::timeout(CHECK_TIMEOUT, looking).await.unwrap_or(Err(SqlError::TooLong(CHECK_TIMEOUT).into()));
        self.note_away(matches!(looked, Err(VaultError::Sql(_))));
        self.lost.store(matches!(looked, Err(VaultError::Sql(SqlError::NotOurs(_)))), Ordering::Relaxed);
        looked
    }
}

/// A database that is not there.
struct Absent {
    why: String,
}

impl Absent {
    fn refuse<T>(&self) -> Result<T, SqlError> {
        Err(SqlError::Open(self.why.clone().into()))
    }
}

#[async_trait]
impl Database for Absent {
    fn dialect(&self) -> &'static Dialect {
        &SQLITE
    }

    async fn query(&self, _: &str, _: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        self.refuse()
    }

    async fn query_within(&self, _: &str, _: Vec<Value>, _: Duration) -> Result<Vec<Row>, SqlError> {
        self.refuse()
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError> {
        self.refuse()
    }

    async fn close(&self) {}
}
