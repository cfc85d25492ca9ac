//! The `Store`: one way to write, a few ways to read. One implementation for both databases.
//!
//! INVARIANT: [`Store::transact`] locks the head first, so every append sees every earlier one, from whatever process.

use async_trait::async_trait;

use super::dialect::{Room, migrate};
use super::sql::{Database, Row, SqlError, Transaction, Value};
use crate::core::id::{Epoch, Position};
use crate::core::time::Micros;

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

/// What a transaction reads before it decides.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// State rows by name.
    pub names: Vec<String>,
    /// State rows of whole kinds.
    pub kinds: Vec<&'static str>,
    /// Control rows changed after `known_position` are read if the head's epoch is not this one.
    pub known_epoch: Epoch,
    /// See `known_epoch`.
    pub known_position: Position,
}

/// What it found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The rows asked for that exist.
    pub rows: Vec<StateRow>,
    /// Control rows that changed since `known_position`; only if the epoch moved.
    pub changed: Vec<StateRow>,
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
}

/// A log room that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed. After [`SqlError::Commit`] nobody knows whether the batch is stored.
    #[error("the log's database failed")]
    Sql(#[from] SqlError),
    /// There is no head, or the decision found state it cannot read (P12).
    #[error("the log's state cannot be read: {0}")]
    Unreadable(String),
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
    /// Where the log stands.
    async fn head(&self) -> Result<Head, StoreError>;
    /// At most `limit` events after `after`, in order.
    async fn events(&self, after: Position, limit: u32) -> Result<Vec<EventRow>, StoreError>;
    /// The payload parts of the events from `first` to `last`.
    async fn payloads(&self, first: Position, last: Position) -> Result<Vec<PayloadRow>, StoreError>;
    /// Every state row of these kinds, by name.
    async fn state(&self, kinds: &[&'static str]) -> Result<Vec<StateRow>, StoreError>;
    /// The state rows of these names that exist; at most 256 names.
    async fn state_rows(&self, names: &[String]) -> Result<Vec<StateRow>, StoreError>;
}

/// The one implementation, over either database.
pub struct SqlStore {
    database: Box<dyn Database>,
}

impl SqlStore {
    /// A store on a room that [`super::sql::open_sqlite`] or [`super::sql::open_postgres`] opened.
    #[must_use]
    pub fn new(database: Box<dyn Database>) -> Self {
        Self { database }
    }

    /// The SQL beneath, for what checks the store from outside.
    #[must_use]
    pub fn database(&self) -> &dyn Database {
        &*self.database
    }
}

const HEAD: &str = "select position, at, epoch from log_head where log_id = 1";

#[async_trait]
impl Store for SqlStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(migrate(&*self.database, Room::Log).await?)
    }

    async fn transact(&self, want: &Want, decide: &mut Decide<'_>) -> Result<Head, StoreError> {
        let mut transaction = self.database.begin().await?;
        let lock = format!("{HEAD}{}", self.database.dialect().for_update);
        let head = head_of(transaction.query(&lock, Vec::new()).await?.first())?;
        let found = find(&mut *transaction, want, &head).await?;
        let batch = decide(&head, found)?;
        if batch.events.is_empty() && batch.puts.is_empty() && batch.deletes.is_empty() {
            return Ok(head);
        }
        let moved = write(&mut *transaction, &head, batch).await?;
        transaction.commit().await?;
        Ok(moved)
    }

    async fn head(&self) -> Result<Head, StoreError> {
        head_of(self.database.query(HEAD, Vec::new()).await?.first())
    }

    async fn events(&self, after: Position, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let sql = "select position, at, type, call, leaf from event where position > $1 order by position limit $2";
        let rows = self.database.query(sql, vec![after.0.into(), i64::from(limit).into()]).await?;
        rows.iter().map(event_row).collect()
    }

    async fn payloads(&self, first: Position, last: Position) -> Result<Vec<PayloadRow>, StoreError> {
        let sql = "select position, part, key, body from payload where position between $1 and $2 order by position, part";
        let rows = self.database.query(sql, vec![first.0.into(), last.0.into()]).await?;
        rows.iter().map(payload_row).collect()
    }

    async fn state(&self, kinds: &[&'static str]) -> Result<Vec<StateRow>, StoreError> {
        let mut all = Vec::new();
        for kind in kinds {
            let rows = self.database.query(BY_KIND, range_of(kind)).await?;
            for row in &rows {
                all.push(state_row(row)?);
            }
        }
        Ok(all)
    }

    async fn state_rows(&self, names: &[String]) -> Result<Vec<StateRow>, StoreError> {
        let (sql, args) = by_name(names);
        self.database.query(&sql, args).await?.iter().map(state_row).collect()
    }
}

const BY_KIND: &str = "select name, control, position, doc from state where name >= $1 and name < $2 order by name";
const CHANGED: &str = "select name, control, position, doc from state where control = 1 and position > $1 order by position";

/// `kind:` up to, not including, `kind;` — the next character after the colon.
fn range_of(kind: &str) -> Vec<Value> {
    vec![format!("{kind}:").into(), format!("{kind};").into()]
}

/// A few fixed sizes keep the statement cache small; repeating a name changes nothing.
fn by_name(names: &[String]) -> (String, Vec<Value>) {
    let (list, args) = name_list(names);
    (format!("select name, control, position, doc from state where name in ({list})"), args)
}

pub(crate) fn name_list(names: &[String]) -> (String, Vec<Value>) {
    let size = padded(names.len());
    let filler = names.last().cloned().unwrap_or_default();
    let args = names.iter().cloned().chain(std::iter::repeat(filler)).take(size).map(Value::from).collect();
    (places(1, size), args)
}

async fn find(transaction: &mut dyn Transaction, want: &Want, head: &Head) -> Result<Found, StoreError> {
    let mut found = Found::default();
    for names in want.names.chunks(256) {
        let (sql, args) = by_name(names);
        for row in transaction.query(&sql, args).await? {
            found.rows.push(state_row(&row)?);
        }
    }
    for kind in &want.kinds {
        for row in transaction.query(BY_KIND, range_of(kind)).await? {
            found.rows.push(state_row(&row)?);
        }
    }
    if head.epoch != want.known_epoch {
        for row in transaction.query(CHANGED, vec![want.known_position.0.into()]).await? {
            found.changed.push(state_row(&row)?);
        }
    }
    Ok(found)
}

async fn write(transaction: &mut dyn Transaction, head: &Head, batch: Batch) -> Result<Head, StoreError> {
    let last = batch.events.last().map_or((head.position, head.at), |event| (event.position, event.at));
    let moved = Head { position: last.0, at: last.1, epoch: batch.epoch };
    let events = batch
        .events
        .into_iter()
        .map(|event| vec![event.position.0.into(), event.at.0.into(), event.kind.into(), event.call.into(), event.leaf.into()]);
    insert(transaction, "insert into event (position, at, type, call, leaf) values", "", events.collect()).await?;
    let payloads =
        batch.payloads.into_iter().map(|row| vec![row.position.0.into(), row.part.into(), row.key.into(), row.body.into()]);
    insert(transaction, "insert into payload (position, part, key, body) values", "", payloads.collect()).await?;
    let replace =
        " on conflict (name) do update set control = excluded.control, position = excluded.position, doc = excluded.doc";
    let puts = batch
        .puts
        .into_iter()
        .map(|row| vec![row.name.into(), i64::from(row.control).into(), row.position.0.into(), row.doc.into()]);
    insert(transaction, "insert into state (name, control, position, doc) values", replace, puts.collect()).await?;
    for names in batch.deletes.chunks(256) {
        let (places, args) = name_list(names);
        transaction.execute(&format!("delete from state where name in ({places})"), args).await?;
    }
    let sql = "update log_head set position = $1, at = $2, epoch = $3 where log_id = 1";
    transaction.execute(sql, vec![moved.position.0.into(), moved.at.0.into(), moved.epoch.0.into()]).await?;
    Ok(moved)
}

/// Multi-row inserts at a few fixed sizes, so that the statement cache is not thrashed.
pub(crate) async fn insert(
    transaction: &mut dyn Transaction,
    head: &str,
    tail: &str,
    mut rows: Vec<Vec<Value>>,
) -> Result<(), StoreError> {
    while let Some(width) = rows.first().map(Vec::len) {
        let size = [64, 16, 4, 1].into_iter().find(|size| *size <= rows.len()).unwrap_or(1);
        let rest = rows.split_off(size);
        let tuples: Vec<String> = (0..size).map(|row| format!("({})", places(row * width + 1, width))).collect();
        let sql = format!("{head} {}{tail}", tuples.join(", "));
        transaction.execute(&sql, rows.into_iter().flatten().collect()).await?;
        rows = rest;
    }
    Ok(())
}

fn padded(count: usize) -> usize {
    [1, 4, 16, 64, 256].into_iter().find(|size| *size >= count).unwrap_or(256)
}

fn places(first: usize, count: usize) -> String {
    let numbers: Vec<String> = (first..first + count).map(|n| format!("${n}")).collect();
    numbers.join(", ")
}

fn head_of(row: Option<&Row>) -> Result<Head, StoreError> {
    let row = row.ok_or_else(|| StoreError::Unreadable("the log has no head".into()))?;
    Ok(Head { position: Position(row.int(0)?), at: Micros(row.int(1)?), epoch: Epoch(row.int(2)?) })
}

fn event_row(row: &Row) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        position: Position(row.int(0)?),
        at: Micros(row.int(1)?),
        kind: row.text(2)?.to_owned(),
        call: row.maybe_text(3)?.map(str::to_owned),
        leaf: row.bytes(4)?.to_vec(),
    })
}

fn payload_row(row: &Row) -> Result<PayloadRow, StoreError> {
    let (part, key) = (row.text(1)?.to_owned(), row.text(2)?.to_owned());
    Ok(PayloadRow { position: Position(row.int(0)?), part, key, body: row.bytes(3)?.to_vec() })
}

fn state_row(row: &Row) -> Result<StateRow, StoreError> {
    let (name, control) = (row.text(0)?.to_owned(), row.int(1)? == 1);
    Ok(StateRow { name, control, position: Position(row.int(2)?), doc: row.bytes(3)?.to_vec() })
}
