//! Whether the views are of this log, as it is now: a log that was restored, or another one, must not be shown with what
//! only the lost one had.
//!
//! INVARIANT: the cursor says of which log the views are and what the newest event in them is, by its hash. Where that is not
//! the event that the log has there, nothing of the views is shown any more: they are made again from nothing.

use sha2::{Digest, Sha256};

use super::{ViewError, Views};
use crate::core::id::Position;
use crate::log::dialect::Room;
use crate::log::migration::version;
use crate::log::pair;
use crate::log::sql::{Database, Row};
use crate::log::store::Store;

pub(super) const CURSOR: &str = "select position, leaf, log from cursor where view = 'calls'";

/// Where the views stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ViewsStatus {
    /// The newest event that they show.
    pub(super) position: Position,
    /// SHA-256 of its leaf, hex; empty if they show none.
    pub(super) leaf: String,
    /// The mark of the log that it is of; empty if that had none.
    pub(super) log: String,
}

impl ViewsStatus {
    pub(super) fn read(rows: &[Row]) -> Result<Self, ViewError> {
        let row = rows.first().ok_or_else(|| ViewError::Unreadable("there is no cursor".into()))?;
        let text = |at| row.text(at).map(str::to_owned);
        Ok(Self { position: Position(row.int(0)?), leaf: text(1)?, log: text(2)? })
    }
}

/// How a leaf is named by the cursor.
pub(super) fn hash(leaf: &[u8]) -> String {
    hex::encode(Sha256::digest(leaf))
}

/// Why views that stand there are not of this log; none if they are.
pub(super) async fn invalid_row(stand: &ViewsStatus, store: &dyn Store) -> Result<Option<String>, ViewError> {
    let at = stand.position;
    if at == Position(0) {
        return Ok(None);
    }
    let rows = store.events(Position(at.0 - 1), 1).await?;
    Ok(match rows.first() {
        None => Some(format!("the views show events up to {}, and the log ends before that", at.0)),
        Some(row) if row.position != at || hash(&row.leaf) != stand.leaf => {
            Some(format!("the views show another event at {} than the log has there", at.0))
        }
        Some(_) if pair::log_mark(store).await? != stand.log => Some("the views are of a log with another mark".into()),
        Some(_) => None,
    })
}

/// The same for a room of views that nobody has opened yet, for whoever looks at both from outside.
pub async fn invalid_row_of(database: &dyn Database, store: &dyn Store) -> Result<Option<String>, ViewError> {
    if version(database, Room::Views).await? == 0 {
        return Ok(None);
    }
    invalid_row(&ViewsStatus::read(&database.query(CURSOR, Vec::new()).await?)?, store).await
}

impl Views {
    pub(super) async fn stand(&self) -> Result<ViewsStatus, ViewError> {
        ViewsStatus::read(&self.database.query(CURSOR, Vec::new()).await?)
    }

    /// Where the views stand. If they are not of this log, they begin anew.
    pub(super) async fn settled(&self) -> Result<ViewsStatus, ViewError> {
        loop {
            let stand = self.stand().await?;
            let Some(why) = invalid_row(&stand, &*self.reader.store).await? else { return Ok(stand) };
            tracing::warn!(why, "the views do not fit the log and are made again from nothing");
            self.empty(Some(&stand)).await?;
        }
    }
}
