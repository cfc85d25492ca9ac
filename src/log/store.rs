//! The `Store`: one way to write, a few ways to read. One implementation for both databases.
//!
//! INVARIANT: [`Store::transact`] locks the head first, so every append sees every earlier one, from whatever process; and what
//! [`Store::read`] answers was all true at one moment after it was asked.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::blockers;
use super::dialect::{Dialect, POSTGRES, Room, migrate};
use super::find;
use super::sql::{Database, Row, SqlError, Transaction, Value};
use super::{parts, peers};
use crate::core::id::{CallId, Epoch, Position};
use crate::core::time::Micros;

use super::tables::write;
pub use super::tables::{EVENTS, PAYLOADS, STATE};
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
    /// Returns when another process may have changed control state, with its epoch if that is known. A courtesy: the head
    /// is what holds.
    async fn told(&self) -> Result<Option<Epoch>, StoreError>;
    /// The state rows of these names that exist.
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

    /// Reads, decides and writes; none is written if nothing changes.
    async fn decided(
        &self,
        transaction: &mut dyn Transaction,
        want: &Want,
        decide: &mut Decide<'_>,
    ) -> Result<(Head, Option<Head>), StoreError> {
        let dialect = self.database.dialect();
        let (head, found) = find::find(transaction, dialect, want).await?;
        let stored = found.stored;
        let batch = decide(&head, found)?;
        if batch.events.is_empty() && batch.puts.is_empty() && batch.deletes.is_empty() && !batch.repairs {
            return Ok((head, None));
        }
        let moved = write(transaction, dialect, (&head, stored), batch).await?;
        Ok((head, Some(moved)))
    }

    /// Lets go of the head, and only then looks at who was in the way.
    async fn undone(&self, transaction: Box<dyn Transaction>, error: StoreError) -> StoreError {
        transaction.rollback().await;
        match error {
            StoreError::Sql(error) => StoreError::Sql(self.database.explained(error).await),
            other => other,
        }
    }

    /// What the database's own clock says, if it has one.
    pub async fn clock(&self) -> Result<Option<Micros>, SqlError> {
        let rows = self.database.query(&format!("select {}", self.database.dialect().clock), Vec::new()).await?;
        Ok(rows.first().map_or(Ok(None), |row| row.maybe_int(0))?.map(Micros))
    }

    /// The SQL beneath, for what checks the store from outside.
    #[must_use]
    pub fn database(&self) -> &dyn Database {
        &*self.database
    }
}

/// The head with the newest event, which says where the log stands: what is stored in the head is held against it.
pub(super) const HEAD_AND_NEWEST: &str =
    "log_head h left join (select position, at from event order by position desc limit 1) e on 1 = 1";
pub(super) const NEWEST: &str = "coalesce(e.position, 0), coalesce(e.at, 0)";

#[async_trait]
impl Store for SqlStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(migrate(&*self.database, Room::Log).await?)
    }

    async fn transact(&self, want: &Want, decide: &mut Decide<'_>) -> Result<Head, StoreError> {
        let mut transaction = self.database.begin_append().await?;
        let (head, moved) = match self.decided(&mut *transaction, want, decide).await {
            Ok(decided) => decided,
            Err(error) => return Err(self.undone(transaction, error).await),
        };
        let Some(moved) = moved else { return Ok(head) };
        let done = transaction.commit().await;
        if moved.epoch != head.epoch && matches!(done, Ok(()) | Err(SqlError::Commit(_))) {
            self.database.tell(moved.epoch.0);
        }
        Ok(done.map(|()| moved)?)
    }

    async fn rehearse(&self, want: &Want, decide: &mut Decide<'_>) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_append().await?;
        let mut rehearsed = self.decided(&mut *transaction, want, decide).await;
        let changes = |(head, moved): &(Head, Option<Head>)| moved.is_some_and(|moved| moved.epoch != head.epoch);
        if self.database.dialect().name == POSTGRES.name && rehearsed.as_ref().is_ok_and(changes) {
            rehearsed = blockers::check_control_rows(&mut *transaction).await.map_err(StoreError::from).and(rehearsed);
        }
        match rehearsed {
            // Rolled back with everything that it has written.
            Ok(_) => {
                transaction.rollback().await;
                Ok(())
            }
            Err(error) => Err(self.undone(transaction, error).await),
        }
    }

    async fn read(&self, want: &Want) -> Result<(Head, Found), StoreError> {
        let mut snapshot = self.database.snapshot().await?;
        find::find(&mut *snapshot, self.database.dialect(), want).await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        let sql = format!("select h.epoch, {NEWEST} from {HEAD_AND_NEWEST} where h.log_id = 1");
        head_of(self.database.query(&sql, Vec::new()).await?.first())
    }

    async fn events(&self, after: Position, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let sql = "select position, at, type, call, leaf from event where position > $1 order by position limit $2";
        self.database.query(sql, vec![after.0.into(), i64::from(limit).into()]).await?.into_iter().map(event_row).collect()
    }

    async fn of_calls(&self, calls: &[CallId]) -> Result<Vec<EventRow>, StoreError> {
        let sql = of_calls(self.database.dialect());
        self.database.query(&sql, vec![names(calls)]).await?.into_iter().map(event_row).collect()
    }

    async fn payloads(&self, first: Position, last: Position) -> Result<Vec<PayloadRow>, StoreError> {
        let sql = "select position, part, key, body from payload where position between $1 and $2 order by position, part";
        self.database.query(sql, vec![first.0.into(), last.0.into()]).await?.into_iter().map(payload_row).collect()
    }

    async fn parts(&self, first: Position, last: Position) -> Result<Vec<(Position, String)>, StoreError> {
        parts::between(&*self.database, first, last).await
    }

    async fn strays(&self, after: Position) -> Result<Vec<(Position, String)>, StoreError> {
        parts::strays(&*self.database, after).await
    }

    async fn state(&self, kinds: &[&'static str]) -> Result<Vec<StateRow>, StoreError> {
        let mut all = Vec::new();
        for kind in kinds {
            for row in self.database.query(BY_KIND, range_of(kind)).await? {
                all.push(state_row(row)?);
            }
        }
        Ok(all)
    }

    async fn state_under(&self, prefix: &str) -> Result<Vec<StateRow>, StoreError> {
        self.database.query(BY_KIND, range_under(prefix)).await?.into_iter().map(state_row).collect()
    }

    async fn told(&self) -> Result<Option<Epoch>, StoreError> {
        Ok(self.database.told().await?.map(Epoch))
    }

    async fn state_rows(&self, names: &[String]) -> Result<Vec<StateRow>, StoreError> {
        let args = vec![Value::Texts(names.to_vec())];
        self.database.query(&by_name(self.database.dialect()), args).await?.into_iter().map(state_row).collect()
    }
}

pub(super) const BY_KIND: &str =
    "select name, control, position, doc from state where name >= $1 and name < $2 order by name limit $3";

/// `kind:` up to, not including, `kind;` — the next character after the colon. Nodes are never so many; whoever is handed that many
/// rows knows that there may be more.
pub(super) fn range_of(kind: &str) -> Vec<Value> {
    let most = if kind == "node" { i64::try_from(peers::MOST).unwrap_or(i64::MAX) } else { i64::MAX };
    vec![format!("{kind}:").into(), format!("{kind};").into(), most.into()]
}

/// `kind:key/` up to, not including, `kind:key0` — the next character after the slash.
pub(super) fn range_under(prefix: &str) -> Vec<Value> {
    vec![prefix.into(), format!("{}0", prefix.trim_end_matches('/')).into(), i64::MAX.into()]
}

fn by_name(database: &'static Dialect) -> String {
    format!("select name, control, position, doc from state where name {}", database.among)
}

pub(super) fn of_calls(database: &'static Dialect) -> String {
    format!("select position, at, type, call, leaf from event where call {} order by position", database.among)
}

pub(super) fn names(calls: &[CallId]) -> Value {
    Value::Texts(calls.iter().map(ToString::to_string).collect())
}

pub(super) fn head_of(row: Option<&Row>) -> Result<Head, StoreError> {
    let row = row.ok_or_else(|| StoreError::Unreadable("the log has no head".into()))?;
    Ok(Head { epoch: Epoch(row.int(0)?), position: Position(row.int(1)?), at: Micros(row.int(2)?) })
}

pub(super) fn event_row(mut row: Row) -> Result<EventRow, StoreError> {
    let (position, at) = (Position(row.int(0)?), Micros(row.int(1)?));
    let call = row.maybe_text(3)?.map(str::to_owned);
    Ok(EventRow { position, at, kind: row.take_text(2)?, call, leaf: row.take_bytes(4)? })
}

fn payload_row(mut row: Row) -> Result<PayloadRow, StoreError> {
    let position = Position(row.int(0)?);
    Ok(PayloadRow { position, part: row.take_text(1)?, key: row.take_text(2)?, body: row.take_bytes(3)? })
}

pub(super) fn state_row(mut row: Row) -> Result<StateRow, StoreError> {
    let (control, position) = (row.int(1)? == 1, Position(row.int(2)?));
    Ok(StateRow { name: row.take_text(0)?, control, position, doc: row.take_bytes(3)? })
}
