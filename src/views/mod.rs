//! The views: what happened, shaped for reading. Pulled from the log by position, and lost without harm.
//!
//! ```text
//! log ──events after the cursor──▶ Batch (calls · administration · VM labels) ──▶ rows and cursor, one transaction
//! Calls::list / call / timeline ◀── what the events of the calls say that rows lead to, as it was at `as_of`
//! ```
//!
//! INVARIANT: rows depend on the log alone and are written together with the cursor, so that views can be deleted,
//! rebuilt, and come out the same (P11). Those of another log, or of what a log has lost, are never shown ([`status`]).

pub mod activity;
pub mod administration;
mod batch;
pub mod call;
pub mod check;
mod event_owner;
mod filter;
mod hidden;
mod histogram;
pub mod label;
mod live;
pub mod page;
mod query_slots;
pub mod rebuild;
pub mod reopening;
pub mod runner;
pub mod status;
pub mod timeline;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Mutex;

use crate::core::error_chain::error_chain;
use crate::core::id::Position;
use crate::log::reading::{ReadError, Reader};
use crate::log::sql::{Database, SqlError};
use crate::log::store::StoreError;
use crate::log::vault::VaultError;

/// A view that could not be brought up to date, or read.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The views' database failed.
    #[error("the views' database failed")]
    Sql(#[from] SqlError),
    /// The log could not be read.
    #[error("reading the log for the views")]
    Log(#[from] ReadError),
    /// Rows could not be written.
    #[error("writing the views")]
    Write(#[from] StoreError),
    /// The vault failed.
    #[error("opening a payload for the views")]
    Vault(#[from] VaultError),
    /// Too many looks were asked for at once.
    #[error("too many looks into the views at once")]
    Busy,
    /// A stored row is not what this program writes.
    #[error("a row of the views cannot be read: {0}")]
    Unreadable(String),
}

/// The views room and the log it is pulled from.
pub struct Views {
    database: Box<dyn Database>,
    reader: Reader,
    /// One pull at a time in this process; the cursor row is the lock between processes.
    turn: Mutex<()>,
    /// The newest position that was read of the cursor.
    seen: AtomicI64,
}

impl Views {
    /// The views room, its schema up to date, with nothing in it that this log does not have.
    #[cfg(feature = "testing")]
    pub async fn open(database: Box<dyn Database>, reader: Reader) -> Result<Arc<Self>, ViewError> {
        crate::log::migration::migrate(&*database, crate::log::dialect::Room::Views).await?;
        Ok(Self::over(database, reader).await)
    }

    /// The same for a room that may not be there just now, as it may be lost: it opens, and brings its schema up to date, by
    /// itself ([`reopening`]).
    pub async fn over(database: Box<dyn Database>, reader: Reader) -> Arc<Self> {
        let seen = AtomicI64::new(0);
        let views = Arc::new(Self { database, reader, turn: Mutex::new(()), seen });
        if let Err(error) = views.settled().await {
            // Each pull looks again; a node without views records, decides and stops all the same.
            let error = error_chain(&error);
            tracing::error!(error, "the views cannot be held against the log yet; `forelog view rebuild` makes them anew");
        }
        views
    }

    /// The newest event that the views show.
    pub async fn position(&self) -> Result<Position, ViewError> {
        let position = self.stand().await?.position;
        self.seen.store(position.0, Ordering::Relaxed);
        Ok(position)
    }

    /// The newest event that they were seen to show.
    #[must_use]
    pub fn seen(&self) -> Position {
        Position(self.seen.load(Ordering::Relaxed))
    }

    /// The SQL beneath, for what checks the views from outside.
    #[must_use]
    pub fn database(&self) -> &dyn Database {
        &*self.database
    }
}
