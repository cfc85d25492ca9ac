//! The vault: wrapped data keys, people, sealed secrets. What can be erased, apart from the log that cannot.
//!
//! INVARIANT: a data key is durable here before any log row names it; there is no transaction across rooms.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::binding::Binding;
use super::data_key::{digest_key, month_key};
use super::dialect::Room;
use super::migration::migrate;
use super::sql::{Database, Row, SqlError};
use super::store::PayloadRow;
use crate::core::code::Code;
use crate::core::event::{Event, Part};
use crate::core::id::{AccountId, CallId, Position};
use crate::core::refusal::Refusal;
use crate::core::root::RootKey;
use crate::core::scrub::Scrubbed;
use crate::core::time::{Entropy, Micros};

/// A vault that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Its database failed.
    #[error("the vault's database failed")]
    Sql(#[from] SqlError),
    /// The key-encryption key does not open what is stored, or ciphertext was changed.
    #[error("a key or payload cannot be opened")]
    Sealed,
    /// There is somebody with that e-mail address in the account already.
    #[error("somebody of the account has that e-mail address already")]
    Taken,
    /// The key was erased.
    #[error("the data key {0} was erased")]
    Erased(String),
}

pub(super) type DataKey = Arc<Zeroizing<[u8; 32]>>;

/// The vault room.
pub struct Vault {
    database: Box<dyn Database>,
    wrapping: Zeroizing<[u8; 32]>,
    entropy: Arc<dyn Entropy>,
    pub(super) keys: Mutex<HashMap<String, DataKey>>,
    /// It did not answer when it was asked last.
    pub(super) away: AtomicBool,
    /// The one that was opened is gone for good.
    pub(super) lost: AtomicBool,
}

/// A payload part before its event has a position.
#[derive(Clone, Debug)]
pub struct SealedPart {
    /// What the leaf says of it.
    pub part: Part,
    /// Data key in the vault.
    pub key: String,
    /// Nonce and ciphertext.
    pub body: Vec<u8>,
}

impl SealedPart {
    /// The row to store once the event has its position.
    #[must_use]
    pub fn row(self, position: Position) -> PayloadRow {
        PayloadRow { position, part: self.part.part.into(), key: self.key, body: self.body }
    }
}

/// Largest plaintext of one part that is kept; of more, only the head.
pub const PART_MAX: usize = 64 * 1024;

/// Data keys that are read at a time where all of them are looked at.
const KEYS_READ: i64 = 500;

const NONCE: usize = 24;
const SALT: usize = 32;

impl Vault {
    /// A vault whose data keys are wrapped under `wrapping`.
    pub async fn open(
        database: Box<dyn Database>,
        wrapping: Zeroizing<[u8; 32]>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        migrate(&*database, Room::Vault).await?;
        let vault = Self::over(database, wrapping, entropy);
        vault.check_wrapping_key().await?;
        Ok(vault)
    }

    /// The same for whoever only looks: it has to be of this version, and nothing in it is changed.
    pub async fn open_to_read(
        database: Box<dyn Database>,
        wrapping: Zeroizing<[u8; 32]>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        let vault = Self::over(database, wrapping, entropy);
        vault.check_wrapping_key().await?;
        Ok(vault)
    }

    /// A vault that nothing was asked of yet.
    pub(super) fn over(database: Box<dyn Database>, wrapping: Zeroizing<[u8; 32]>, entropy: Arc<dyn Entropy>) -> Self {
        Self { database, wrapping, entropy, keys: Mutex::default(), away: AtomicBool::new(false), lost: AtomicBool::new(false) }
    }

    /// What roots of control state are made with.
    #[must_use]
    pub fn root_key(&self) -> RootKey {
        RootKey::of(&self.wrapping)
    }

    /// The SQL beneath, for what checks the vault from outside.
    #[must_use]
    pub fn database(&self) -> &dyn Database {
        &*self.database
    }

    /// Opens a stored key, so that a wrong key-encryption key is found at start and not at the first export. It is the wrong one
    /// if it opens none: one that does not open is for `forelog doctor` to name.
    async fn check_wrapping_key(&self) -> Result<(), VaultError> {
        let sql = "select id, wrapped from data_key order by id limit $1 offset $2";
        for page in 0.. {
            let rows = self.database.query(sql, vec![KEYS_READ.into(), (KEYS_READ * page).into()]).await?;
            if rows.iter().any(|row| self.opens(row)) || (page == 0 && rows.is_empty()) {
                return Ok(());
            }
            if rows.is_empty() {
                return Err(VaultError::Sealed);
            }
        }
        Ok(())
    }

    /// The names of at most so many data keys that do not open, how many they are, and how many there are.
    pub async fn closed_keys(&self, most: usize) -> Result<(Vec<String>, usize, usize), VaultError> {
        let (mut closed, mut shut, mut all) = (Vec::new(), 0, 0);
        let (mut after, sql) = (String::new(), "select id, wrapped from data_key where id > $1 order by id limit $2");
        loop {
            let rows = self.database.query(sql, vec![after.as_str().into(), KEYS_READ.into()]).await?;
            let Some(last) = rows.last() else { return Ok((closed, shut, all)) };
            last.text(0)?.clone_into(&mut after);
            all += rows.len();
            for row in rows.iter().filter(|row| !self.opens(row)) {
                shut += 1;
                if closed.len() < most {
                    closed.push(row.text(0)?.to_owned());
                }
            }
        }
    }

    fn opens(&self, row: &Row) -> bool {
        row.text(0).is_ok_and(|id| row.bytes(1).is_ok_and(|wrapped| unwrap_key(&self.wrapping, id, wrapped).is_ok()))
    }

    /// What data keys are wrapped under.
    pub(super) fn wrapping(&self) -> &[u8; 32] {
        &self.wrapping
    }

    /// Encrypts one part of an event under the account's key of that month, bound to what it belongs to.
    pub async fn seal(
        &self,
        account: &AccountId,
        at: Micros,
        of: impl Into<Binding>,
        part: &str,
        document: &Scrubbed,
    ) -> Result<SealedPart, VaultError> {
        let (key_id, key) = self.named_key(&month_key(account, at)).await?;
        self.seal_under(&key_id, &key, &of.into(), part, document)
    }

    pub(super) fn seal_under(
        &self,
        key_id: &str,
        key: &[u8; 32],
        of: &Binding,
        part: &str,
        document: &Scrubbed,
    ) -> Result<SealedPart, VaultError> {
        let plaintext = document.bytes();
        let kept = plaintext.get(..PART_MAX).unwrap_or(&plaintext);
        let mut salt = [0; SALT];
        self.entropy.fill(&mut salt);
        let body = self.encrypt(key, &of.with(part), &[&salt[..], kept].concat())?;
        let named = Part {
            part: part.into(),
            size: plaintext.len() as u64,
            truncated: kept.len() < plaintext.len(),
            sha256: hex::encode(Sha256::digest(&body)).into(),
            commit: hex::encode(hmac(&salt, kept)).into(),
            left_out: None,
        };
        Ok(SealedPart { part: named, key: key_id.to_owned(), body })
    }

    /// Decrypts a stored part and checks it against what the leaf says. If it is opened for an account it lies under a key of
    /// that account, whose name no row can forge: it is sealed with the key.
    pub async fn open_part(
        &self,
        event: &Event,
        named: &Part,
        row: &PayloadRow,
        account: Option<&AccountId>,
    ) -> Result<Vec<u8>, VaultError> {
        self.open_salted(event, named, row, account).await.map(|(_, plaintext)| plaintext)
    }

    /// The same, with the salt by which anybody can hold the plaintext against the leaf ([`commits`]).
    pub async fn open_salted(
        &self,
        event: &Event,
        named: &Part,
        row: &PayloadRow,
        account: Option<&AccountId>,
    ) -> Result<(Vec<u8>, Vec<u8>), VaultError> {
        if account.is_some_and(|account| row.key.split_once('/').is_none_or(|(owner, _)| owner != account.as_str())) {
            return Err(VaultError::Sealed);
        }
        let key = self.key(&row.key).await?.ok_or_else(|| VaultError::Erased(row.key.clone()))?;
        let opened = Binding::of(event).iter().find_map(|of| decrypt(&key, &of.with(&row.part), &row.body).ok());
        let opened = opened.ok_or(VaultError::Sealed)?;
        let (salt, plaintext) = opened.split_at_checked(SALT).ok_or(VaultError::Sealed)?;
        if commits(named, salt, plaintext) { Ok((salt.to_vec(), plaintext.to_vec())) } else { Err(VaultError::Sealed) }
    }

    /// Seals what a call needs to run and the log must not have, until [`Vault::drop_seal`].
    pub async fn put_seal(&self, account: &AccountId, at: Micros, call: &CallId, plaintext: &[u8]) -> Result<(), VaultError> {
        let (key_id, key) = self.named_key(&month_key(account, at)).await?;
        let body = self.encrypt(&key, &seal_aad(call), plaintext)?;
        let sql = "insert into sealed (call, key, body) values ($1, $2, $3) \
                   on conflict (call) do update set key = excluded.key, body = excluded.body";
        let mut transaction = self.database.begin().await?;
        transaction.execute(sql, vec![call.as_str().into(), key_id.into(), body.into()]).await?;
        Ok(transaction.commit().await?)
    }

    /// What is sealed for a call; none if there is nothing, or its key was erased.
    pub async fn seal_of(&self, call: &CallId) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let rows = self.database.query("select key, body from sealed where call = $1", vec![call.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let Some(key) = self.key(row.text(0)?).await? else { return Ok(None) };
        decrypt(&key, &seal_aad(call), row.bytes(1)?).map(|plaintext| Some(Zeroizing::new(plaintext)))
    }

    /// Forgets what was sealed for a call.
    pub async fn drop_seal(&self, call: &CallId) -> Result<(), VaultError> {
        let mut transaction = self.database.begin().await?;
        transaction.execute("delete from sealed where call = $1", vec![call.as_str().into()]).await?;
        Ok(transaction.commit().await?)
    }

    /// The calls that something is sealed for.
    pub async fn sealed_calls(&self) -> Result<Vec<CallId>, VaultError> {
        let rows = self.database.query("select call from sealed", Vec::new()).await?;
        // One that is sealed for no call is nobody's, and no call is kept from its own.
        Ok(rows.iter().filter_map(|row| row.text(0).ok()?.parse().ok()).collect())
    }

    /// HMAC-SHA-256 of `bytes` under a key that only this account's data has, for equality without content.
    pub async fn digest(&self, account: &AccountId, bytes: &[u8]) -> Result<String, VaultError> {
        let (_, key) = self.named_key(&digest_key(account)).await?;
        Ok(hex::encode(hmac(&**key, bytes)))
    }

    /// HMAC-SHA-256 of `bytes` under the key of that name.
    pub(super) async fn mac(&self, key: &str, bytes: &[u8]) -> Result<[u8; 32], VaultError> {
        let (_, key) = self.named_key(key).await?;
        Ok(hmac(&**key, bytes))
    }

    pub(super) async fn named_key(&self, id: &str) -> Result<(String, DataKey), VaultError> {
        if let Some(key) = self.key(id).await? {
            return Ok((id.to_owned(), key));
        }
        let mut fresh = Zeroizing::new([0; 32]);
        self.entropy.fill(&mut *fresh);
        let wrapped = self.encrypt(&self.wrapping, id.as_bytes(), &*fresh)?;
        let mut transaction = self.database.begin().await?;
        // Two callers may make the same key at once; the first one's stays.
        let sql = "insert into data_key (id, wrapped) values ($1, $2) on conflict (id) do nothing";
        transaction.execute(sql, vec![id.into(), wrapped.into()]).await?;
        transaction.commit().await?;
        let key = self.key(id).await?.ok_or_else(|| VaultError::Erased(id.to_owned()))?;
        Ok((id.to_owned(), key))
    }

    pub(super) async fn key(&self, id: &str) -> Result<Option<DataKey>, VaultError> {
        if let Some(key) = self.cached(id) {
            return Ok(Some(key));
        }
        let rows = self.database.query("select wrapped from data_key where id = $1", vec![id.into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let key = Arc::new(unwrap_key(&self.wrapping, id, row.bytes(0)?)?);
        self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(id.to_owned(), Arc::clone(&key));
        Ok(Some(key))
    }

    pub(super) fn cached(&self, id: &str) -> Option<DataKey> {
        self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(id).cloned()
    }

    pub(super) fn encrypt(&self, key: &[u8; 32], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE];
        self.entropy.fill(&mut nonce);
        let cipher = XChaCha20Poly1305::new(&Key::from(*key));
        let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad }).map_err(|_| VaultError::Sealed)?;
        Ok([&nonce[..], &sealed].concat())
    }
}

impl From<VaultError> for Refusal {
    /// What is told whoever waits for what the vault holds.
    fn from(error: VaultError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the vault cannot be read");
        Self::new(Code::AuditUnavailable, "The vault cannot be read now, so nothing is answered.")
    }
}

fn unwrap_key(wrapping: &[u8; 32], id: &str, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let opened = Zeroizing::new(decrypt(wrapping, id.as_bytes(), wrapped)?);
    <[u8; 32]>::try_from(opened.as_slice()).map(Zeroizing::new).map_err(|_| VaultError::Sealed)
}

pub(super) fn decrypt(key: &[u8; 32], aad: &[u8], body: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, sealed) = body.split_first_chunk::<NONCE>().ok_or(VaultError::Sealed)?;
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad }).map_err(|_| VaultError::Sealed)
}

/// Whether a leaf commits to this plaintext of a part with this salt.
#[must_use]
pub fn commits(named: &Part, salt: &[u8], plaintext: &[u8]) -> bool {
    hex::encode(hmac(salt, plaintext)) == named.commit
}

fn seal_aad(call: &CallId) -> Vec<u8> {
    format!("{call}|sealed|1").into_bytes()
}

pub(super) fn hmac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}
