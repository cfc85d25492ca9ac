//! Whether a log and a vault belong together. A lost log must not look like a new one, nor a lost vault.
//!
//! ```text
//! first start   vault's mark ──▶ log's mark ──▶ everything else
//! ```
//!
//! INVARIANT: the log carries the mark of its vault from before the first key and the first event on. So an empty log without
//! it, beside a vault with keys, is a loss; what ended between the two marks is a first start, which goes on.

use super::sql::SqlError;
use super::sql_store::SqlStore;
use super::store::{Batch, Found, Head, StateRow, Store, StoreError, Want};
use super::vault::{Vault, VaultError};
use crate::core::id::Position;

/// The vault's key that its mark is made with.
const KEY: &str = "pair";

/// The log's row that holds it. It is not control state: no event speaks of it.
const ROW: &str = "pair:vault";

/// A log and a vault that are not used together.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The vault has a past, and the log has none.
    #[error("the log is empty, and the vault beside it holds keys: the log was lost, or this is another one's vault")]
    LogLost,
    /// The log has a past, and the vault does not know it.
    #[error(
        "the log has events, and the vault beside it is not the one that they were sealed with: it was lost, or is another one's"
    )]
    VaultLost,
    /// The vault cannot be asked.
    #[error("asking the vault whose it is")]
    Vault(#[from] VaultError),
    /// The log cannot be asked.
    #[error("asking the log whose it is")]
    Store(#[from] StoreError),
    /// Either's database failed.
    #[error("asking a room whose it is")]
    Sql(#[from] SqlError),
}

/// Refuses rooms that do not belong together; new ones do from now on. Each look is at what another node, which starts at the
/// same time, writes before what was looked at last.
pub async fn pair(store: &SqlStore, vault: &Vault) -> Result<(), PairError> {
    if is_paired(store, vault).await? {
        return Ok(());
    }
    let mark = vault.make_mark().await?;
    let want = Want { names: vec![ROW.to_owned()], ..Want::default() };
    let put = |head: &Head, found: Found| {
        let row = StateRow { name: ROW.to_owned(), control: false, position: head.position, doc: mark.clone().into_bytes() };
        let puts = if found.rows.is_empty() { vec![row] } else { Vec::new() };
        Ok(Batch { puts, epoch: head.epoch, ..Batch::default() })
    };
    store.transact(&want, &mut { put }).await?;
    if mark_of(store).await?.is_some_and(|own| own == mark) { Ok(()) } else { Err(PairError::VaultLost) }
}

/// Whether rooms carry each other's mark; an error if they do not belong together. Nothing is changed.
pub async fn is_paired(store: &SqlStore, vault: &Vault) -> Result<bool, PairError> {
    let has_past = vault.has_past().await?;
    let (head, own) = (store.head().await?, mark_of(store).await?);
    let mark = match vault.mark().await {
        // The row of one key is no reason to start nothing: another one tells the vault as well, and `doctor` names it.
        Err(VaultError::Sealed) if own.is_some() && unseals(store, vault).await? => {
            tracing::error!("the vault's mark does not open; it is known by the key of the newest payload");
            return Ok(true);
        }
        other => other?,
    };
    match (own, mark) {
        (Some(own), Some(mark)) if own == mark => Ok(true),
        (Some(_), _) => Err(PairError::VaultLost),
        (None, _) if head.position == Position(0) && has_past => Err(PairError::LogLost),
        (None, _) if !opens(store, vault).await? => Err(PairError::VaultLost),
        (None, _) => Ok(false),
    }
}

/// Whether anything was ever written to a log, or it was given a vault.
pub async fn is_new(store: &SqlStore) -> Result<bool, PairError> {
    Ok(store.head().await?.position == Position(0) && mark_of(store).await?.is_none())
}

async fn mark_of(store: &SqlStore) -> Result<Option<String>, PairError> {
    Ok(Some(log_mark(store).await?).filter(|mark| !mark.is_empty()))
}

/// The mark that a log carries; empty if it has none.
pub async fn log_mark(store: &dyn Store) -> Result<String, StoreError> {
    let row = store.state_rows(&[ROW.to_owned()]).await?.pop();
    Ok(row.map(|row| String::from_utf8_lossy(&row.doc).into_owned()).unwrap_or_default())
}

/// Whether the vault has the key of the newest payload: what stands for a mark in data that was made without one.
async fn opens(store: &SqlStore, vault: &Vault) -> Result<bool, PairError> {
    let rows = store.database().query("select key from payload order by position desc limit 1", Vec::new()).await?;
    let Some(row) = rows.first() else { return Ok(true) };
    let sql = "select 1 from data_key where id = $1";
    Ok(!vault.database().query(sql, vec![row.text(0)?.into()]).await?.is_empty())
}

/// Whether the vault opens the key of the newest payload.
async fn unseals(store: &SqlStore, vault: &Vault) -> Result<bool, PairError> {
    let rows = store.database().query("select key from payload order by position desc limit 1", Vec::new()).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    Ok(vault.key(row.text(0)?).await.is_ok_and(|key| key.is_some()))
}

impl Vault {
    /// It holds more than its mark.
    async fn has_past(&self) -> Result<bool, SqlError> {
        let keys = self.database().query("select id from data_key where id <> $1 limit 1", vec![KEY.into()]).await?;
        Ok(!keys.is_empty() || !self.database().query("select id from person limit 1", Vec::new()).await?.is_empty())
    }

    async fn mark(&self) -> Result<Option<String>, VaultError> {
        let sql = "select id from data_key where id = $1";
        let there = self.database().query(sql, vec![KEY.into()]).await?;
        if there.is_empty() { Ok(None) } else { self.make_mark().await.map(Some) }
    }

    async fn make_mark(&self) -> Result<String, VaultError> {
        Ok(hex::encode(self.mac(KEY, b"the log of this vault").await?))
    }
}
