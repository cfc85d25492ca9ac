//! The `Store`: one way to write, a few ways to read. Its one implementation for both databases is in `sql_store.rs`.
//!
//! INVARIANT: [`Store::transact`] locks the head first, so every append sees every earlier one, from whatever process; and what
//! [`Store::read`] answers was all true at one moment after it was asked.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::sql::SqlError;
use crate::core::id::{CallId, Epoch, Position};
use crate::core::time::Micros;

pub use super::want::Want;

/// Where the log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Of the newest event.
    pub position: Position,
    /// Time of the newest event.
    pub at: Micros,
    /// Of control state.
    pub epoch: Epoch,
}

/// An event as it is stored. Every column is derived from the leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Its place.
    pub position: Position,
    /// Its time.
    pub at: Micros,
    /// Its type.
    pub kind: String,
    /// The call it belongs to.
    pub call: Option<String>,
    /// Canonical JSON, as it was hashed.
    pub leaf: Vec<u8>,
}

/// One encrypted part of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadRow {
    /// The event's place.
    pub position: Position,
    /// Which part.
    pub part: String,
    /// Data key in the vault.
    pub key: String,
    /// Nonce and ciphertext.
    pub body: Vec<u8>,
}

/// One row of the state beside the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// `kind:key`.
    pub name: String,
    /// It is a fold of events.
    pub control: bool,
    /// Of the event that last changed it.
    pub position: Position,
    /// JSON; `null` if gone.
    pub doc: Vec<u8>,
}

/// What it found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The rows asked for that exist.
    pub rows: Vec<StateRow>,
    /// The events of the calls asked for, in order.
    pub calls: BTreeMap<CallId, Vec<EventRow>>,
    /// Control rows that changed since `known_position`; only if the epoch moved.
    pub changed: Vec<StateRow>,
    /// Leaf of the newest event that belongs to no call, which says what control state is; only if the epoch moved.
    pub witness: Option<Vec<u8>>,
    /// What the database's own clock says; a file has none.
    pub clock: Option<Micros>,
    /// Position and time as they are stored in the head. The newest event's, or somebody has changed one of them.
    pub stored: (Position, Micros),
}

/// What a transaction writes. Nothing at all rolls back.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Events in order, the first one at the head's position + 1.
    pub events: Vec<EventRow>,
    /// Their payloads.
    pub payloads: Vec<PayloadRow>,
    /// State rows to insert or replace.
    pub puts: Vec<StateRow>,
    /// State rows to delete by name.
    pub deletes: Vec<String>,
    /// Epoch after it.
    pub epoch: Epoch,
    /// How far the log's time is ahead of the clocks from now on, if that changes. On PostgreSQL only the owner may say so.
    pub ahead: Option<i64>,
    /// Puts the head where the events are, and its epoch where they make it, whatever it says. Only the owner may.
    pub repairs: bool,
}

/// A log room that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed. After [`SqlError::Commit`] nobody knows whether the batch is stored.
    #[error("the log's database failed")]
    Sql(#[from] SqlError),
    /// Control state is not what the newest event says of it (P12).
    #[error("the log's state cannot be read: {0}")]
    Differs(String),
    /// There is no head, or the decision found state it cannot read (P12).
    #[error("the log's state cannot be read: {0}")]
    Unreadable(String),
    /// An entry did not say what it writes, which is a fault of ours.
    #[error("an entry of the batch panicked")]
    Panicked,
}

/// Decides, in the transaction and without waiting, what to write.
pub type Decide<'a> = dyn FnMut(&Head, Found) -> Result<Batch, StoreError> + Send + 'a;

/// The log room.
#[async_trait]
pub trait Store: Send + Sync {
    /// Brings the schema up to date.
    async fn migrate(&self) -> Result<(), StoreError>;
    /// Locks the head, reads what is wanted, lets `decide` say what to write, writes it and commits.
    /// Answers the new head. An error before the commit stored nothing.
    async fn transact(&self, want: &Want, decide: &mut Decide<'_>) -> Result<Head, StoreError>;
    /// Does what [`Store::transact`] does, and rolls it back: whether it could be written now. Of what changes control state, whether
    /// any of its rows could be.
    async fn rehearse(&self, want: &Want, decide: &mut Decide<'_>) -> Result<(), StoreError>;
    /// Reads what is wanted, all of it of one moment that is not before the question. Locks nothing, and waits for no append.
    async fn read(&self, want: &Want) -> Result<(Head, Found), StoreError>;
    /// Where the log stands.
    async fn head(&self) -> Result<Head, StoreError>;
    /// At most `limit` events after `after`, in order.
    async fn events(&self, after: Position, limit: u32) -> Result<Vec<EventRow>, StoreError>;
    /// The events of these calls, in order.
    async fn of_calls(&self, calls: &[CallId]) -> Result<Vec<EventRow>, StoreError>;
    /// The payload parts of the events from `first` to `last`.
    async fn payloads(&self, first: Position, last: Position) -> Result<Vec<PayloadRow>, StoreError>;
    /// Which parts there are of the events from `first` to `last`, without their content.
    async fn parts(&self, first: Position, last: Position) -> Result<Vec<(Position, String)>, StoreError>;
    /// The first parts after `after` that belong to no event.
    async fn strays(&self, after: Position) -> Result<Vec<(Position, String)>, StoreError>;
    /// Every state row of these kinds, by name.
    async fn state(&self, kinds: &[&'static str]) -> Result<Vec<StateRow>, StoreError>;
    /// Every state row whose name begins with `prefix`, which ends in a slash.
    async fn state_under(&self, prefix: &str) -> Result<Vec<StateRow>, StoreError>;
    /// A page of them by name, `most` at most, which begins after the name `after`; of a whole kind if `prefix` ends in its colon.
    async fn page_under(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<StateRow>, StoreError>;
    /// Returns when another process may have changed control state, with its epoch if that is known. A courtesy: the head
    /// is what holds.
    async fn next_epoch(&self) -> Result<Option<Epoch>, StoreError>;
    /// The state rows of these names that exist.
    async fn state_rows(&self, names: &[String]) -> Result<Vec<StateRow>, StoreError>;
}
