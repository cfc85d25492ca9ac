//! Reading back: events by position, and their parts in plaintext for whoever may see them.

use std::sync::Arc;

use serde_json::Value;

use super::store::{Store, StoreError};
use super::vault::{Vault, VaultError};
use crate::core::event::{Event, LeafError};
use crate::core::id::Position;

/// An event or a part that could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log room failed.
    #[error("reading the log")]
    Store(#[from] StoreError),
    /// A leaf is not of this schema.
    #[error("reading a leaf")]
    Leaf(#[from] LeafError),
    /// A part cannot be opened.
    #[error("opening a payload")]
    Vault(#[from] VaultError),
    /// A part is not JSON.
    #[error("reading a payload")]
    Json(#[from] serde_json::Error),
}

/// Reads events and opens their parts.
#[derive(Clone)]
pub struct Reader {
    /// The log room.
    pub store: Arc<dyn Store>,
    /// The keys.
    pub vault: Arc<Vault>,
}

impl Reader {
    /// At most `limit` events after `after`.
    pub async fn events(&self, after: Position, limit: u32) -> Result<Vec<Event>, ReadError> {
        let rows = self.store.events(after, limit).await?;
        rows.iter().map(|row| Ok(Event::decode(&row.leaf)?)).collect()
    }

    /// The event at a position.
    pub async fn event(&self, position: Position) -> Result<Option<Event>, ReadError> {
        let found = self.events(Position(position.0 - 1), 1).await?;
        Ok(found.into_iter().find(|event| event.position == position))
    }

    /// A part of an event as JSON; none if the event has no such part or its key was erased.
    pub async fn part(&self, event: &Event, name: &str) -> Result<Option<Value>, ReadError> {
        let Some(named) = event.parts.iter().find(|part| part.part == name) else { return Ok(None) };
        let rows = self.store.payloads(event.position, event.position).await?;
        let Some(row) = rows.iter().find(|row| row.part == name) else { return Ok(None) };
        match self.vault.open_part(&event.id, named, row).await {
            Ok(plaintext) => Ok(Some(serde_json::from_slice(&plaintext)?)),
            Err(VaultError::Erased(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The result that a terminal event carries.
    pub async fn result_at(&self, position: Position) -> Result<Option<Value>, ReadError> {
        let Some(event) = self.event(position).await? else { return Ok(None) };
        self.part(&event, "result").await
    }
}
