//! One interface to both databases. Columns are integer, text, bytes or null of these, so one small value type carries
//! everything, and the store, the vault and the views are written once.
//!
//! INVARIANT: SQL text is written with `$1 … $n` and comes from this crate; values are always bound.

use std::time::Duration;

use async_trait::async_trait;

use super::dialect::{Dialect, Room};

/// A column's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// SQL null.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list to look for, only ever bound: see [`Dialect::among`].
    Texts(Vec<String>),
}

/// One row, by column number.
#[derive(Clone, Debug)]
pub struct Row(pub(super) Vec<Value>);

/// What a driver says went wrong.
pub type DriverError = Box<dyn std::error::Error + Send + Sync>;

/// A database that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// Opening or reaching it.
    #[error("opening the database")]
    Open(#[source] DriverError),
    /// The files that were opened are not there any more, or not whole: others are in their place.
    #[error("the database is not the one that was opened: {0}")]
    NotOurs(String),
    /// Somebody else holds what every append has to lock, and kept us waiting for too long: nothing was stored.
    #[error("the log's lock is held by {by}")]
    Blocked {
        /// By whom, as far as that can be told.
        by: String,
        /// What the driver says.
        #[source]
        source: DriverError,
    },
    /// What every append has to lock is held by a commit that a synchronous standby has not confirmed: nothing was stored.
    #[error("the database waits for a synchronous standby, which does not answer: the log's lock is held by {by}")]
    Unconfirmed {
        /// By whom, as far as that can be told.
        by: String,
        /// What the driver says.
        #[source]
        source: DriverError,
    },
    /// Somebody else holds a row or a table that this append writes; another one may be written. Nothing was stored.
    #[error("what this writes in the log is held by {by}")]
    RowHeld {
        /// By whom, as far as that can be told.
        by: String,
        /// What the driver says.
        #[source]
        source: DriverError,
    },
    /// A statement before the commit: nothing was stored.
    #[error("running a statement")]
    Statement(#[source] DriverError),
    /// A value that the database does not take, and will not the next time either: nothing was stored.
    #[error("storing a value")]
    Refused(#[source] DriverError),
    /// The commit, whose answer is lost: it may or may not have been stored.
    #[error("committing")]
    Commit(#[source] DriverError),
    /// A text with a NUL, which PostgreSQL cannot hold, so SQLite is not given it either.
    #[error("a text with a NUL is not stored or looked for")]
    Nul,
    /// A column that is not what the schema says.
    #[error("reading column {0}")]
    Column(usize),
    /// A read took longer than it may, and was ended.
    #[error("the read took longer than {} ms", .0.as_millis())]
    TooLong(Duration),
    /// A schema cannot be changed, because other sessions hold what it takes.
    #[error("changing the schema {} waits for a lock that another session holds: {by}", .room.name())]
    Held {
        /// Which room.
        room: Room,
        /// Who they are, as far as the server says.
        by: String,
    },
    /// Rights were granted by a role that has none to grant.
    #[error("granting what serving takes in the schema {}: this role may not grant it; use the role that owns the schema", .room.name())]
    NotGranted {
        /// Which room.
        room: Room,
    },
    /// The schema is newer than this program, or of the time before its first release.
    #[error(
        "the schema {} is at version {found}, of a newer forelog or of one before the first release; this program knows {known}",
        .room.name()
    )]
    TooNew {
        /// Which room.
        room: Room,
        /// Version in the database.
        found: i64,
        /// Newest version this program has.
        known: i64,
    },
}

impl SqlError {
    /// Whether it is a value that was refused, and will be the next time, rather than the database that failed.
    #[must_use]
    pub fn is_about_a_value(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Nul)
    }

    /// Whether one entry of a batch may be to blame, and the others can be written without it.
    #[must_use]
    pub fn is_about_an_entry(&self) -> bool {
        self.is_about_a_value() || matches!(self, Self::RowHeld { .. })
    }

    /// Whether it is somebody else's lock.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Blocked { .. } | Self::Unconfirmed { .. } | Self::RowHeld { .. })
    }
}

impl Row {
    /// An integer column.
    pub fn int(&self, column: usize) -> Result<i64, SqlError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            _ => Err(SqlError::Column(column)),
        }
    }

    /// An integer column that may be null.
    pub fn maybe_int(&self, column: usize) -> Result<Option<i64>, SqlError> {
        if self.0.get(column) == Some(&Value::Null) { Ok(None) } else { self.int(column).map(Some) }
    }

    /// A text column.
    pub fn text(&self, column: usize) -> Result<&str, SqlError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value),
            _ => Err(SqlError::Column(column)),
        }
    }

    /// A bytes column.
    pub fn bytes(&self, column: usize) -> Result<&[u8], SqlError> {
        match self.0.get(column) {
            Some(Value::Bytes(value)) => Ok(value),
            _ => Err(SqlError::Column(column)),
        }
    }

    /// A text column, which is null afterwards.
    pub fn take_text(&mut self, column: usize) -> Result<String, SqlError> {
        match self.0.get_mut(column).map(|value| std::mem::replace(value, Value::Null)) {
            Some(Value::Text(value)) => Ok(value),
            _ => Err(SqlError::Column(column)),
        }
    }

    /// A bytes column, which is null afterwards.
    pub fn take_bytes(&mut self, column: usize) -> Result<Vec<u8>, SqlError> {
        match self.0.get_mut(column).map(|value| std::mem::replace(value, Value::Null)) {
            Some(Value::Bytes(value)) => Ok(value),
            _ => Err(SqlError::Column(column)),
        }
    }

    /// The columns from `first` on, as a row; none if its first one is null, as where a left join found nothing.
    #[must_use]
    pub fn after(mut self, first: usize) -> Option<Self> {
        let rest = self.0.split_off(first.min(self.0.len()));
        let is_there = rest.first().is_some_and(|value| *value != Value::Null);
        is_there.then_some(Self(rest))
    }

    /// A text column that may be null.
    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>, SqlError> {
        if self.0.get(column) == Some(&Value::Null) { Ok(None) } else { self.text(column).map(Some) }
    }
}

/// That no text among `values` has a NUL. Asked before anything is bound, on both databases.
pub(super) fn legible<'a>(values: impl IntoIterator<Item = &'a Value>) -> Result<(), SqlError> {
    let has_nul = |value: &Value| match value {
        Value::Text(text) => text.contains('\0'),
        Value::Texts(list) => list.iter().any(|text| text.contains('\0')),
        Value::Null | Value::Int(_) | Value::Bytes(_) => false,
    };
    if values.into_iter().any(has_nul) { Err(SqlError::Nul) } else { Ok(()) }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// What a column of an [`Insert`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// 64-bit integers.
    Int,
    /// Text, or null.
    Text,
    /// Bytes.
    Bytes,
}

/// Rows going into one table, however many: each database has its own fastest way to take them.
#[derive(Debug)]
pub struct Insert {
    /// The table.
    pub table: &'static str,
    /// Its columns, in the order of the values of a row.
    pub columns: &'static [(&'static str, Holds)],
    /// What to do with a row that is there already; nothing, if it is an error.
    pub on_conflict: &'static str,
}

impl Insert {
    /// The columns' names, as they are listed in a statement.
    #[must_use]
    pub fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// A change of some rows.
#[derive(Debug)]
pub enum Change {
    /// New rows, or new values of theirs.
    Insert(&'static Insert, Vec<Vec<Value>>),
    /// A statement and its values.
    Run(String, Vec<Value>),
}

/// One room of data on one database.
#[async_trait]
pub trait Database: Send + Sync {
    /// What differs between the two databases.
    fn dialect(&self) -> &'static Dialect;
    /// Reads, outside any write transaction.
    async fn query(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError>;
    /// The same for at most `budget`. After that, or when nobody waits for it any more, the database ends the statement.
    async fn query_within(&self, sql: &str, args: Vec<Value>, budget: Duration) -> Result<Vec<Row>, SqlError>;
    /// Begins a write transaction.
    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError>;
    /// Begins one that has locked the log's head, so that what it reads is what is true. SQLite locks everything anyway.
    async fn begin_append(&self) -> Result<Box<dyn Transaction>, SqlError> {
        self.begin().await
    }
    /// Begins a transaction that only reads: everything in it is as it was at one moment after this was asked, and it waits for
    /// nobody who writes. Whoever asks has a thread of his own.
    async fn snapshot(&self) -> Result<Box<dyn Reads>, SqlError> {
        Ok(self.begin().await?)
    }
    /// Says of an append that failed, and was rolled back, who was in its way.
    async fn explained(&self, error: SqlError) -> SqlError {
        error
    }
    /// Tells other processes of a new epoch, if it can. Returns at once; nobody learns whether they were told.
    fn notify_epoch(&self, _epoch: i64) {}
    /// Who holds what every append has to lock, just now.
    async fn blockers(&self) -> Result<Vec<String>, SqlError> {
        Ok(Vec::new())
    }
    /// Returns when another process may have changed control state, with its epoch if that is known. Hearing nothing means
    /// nothing: whoever waits looks by himself as well. A database of one machine tells nobody.
    async fn next_epoch(&self) -> Result<Option<i64>, SqlError> {
        std::future::pending().await
    }
    /// Looks whether it can still be read, by what is on its disk and not what is remembered of it.
    async fn check(&self) -> Result<(), SqlError> {
        Ok(())
    }
    /// Closes every connection, so that the files can be moved.
    async fn close(&self);
}

/// A transaction, as far as it reads. Dropping it ends it.
#[async_trait]
pub trait Reads: Send {
    /// Reads within the transaction.
    async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError>;
}

/// A write transaction. Dropping it rolls back.
#[async_trait]
pub trait Transaction: Reads {
    /// Writes; answers how many rows were touched.
    async fn execute(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, SqlError>;
    /// Inserts rows, each with a value for every column of `into`.
    async fn insert(&mut self, into: &'static Insert, rows: Vec<Vec<Value>>) -> Result<(), SqlError>;
    /// Makes several changes, none to a row of another, in whatever order and as few round trips are possible.
    async fn change(&mut self, changes: Vec<Change>) -> Result<(), SqlError> {
        for change in changes {
            match change {
                Change::Insert(into, rows) => self.insert(into, rows).await?,
                Change::Run(sql, args) => drop(self.execute(&sql, args).await?),
            }
        }
        Ok(())
    }
    /// Runs several statements without values (migrations).
    async fn script(&mut self, sql: &str) -> Result<(), SqlError>;
    /// Ends it with nothing written, before anything else is asked.
    async fn rollback(self: Box<Self>);
    /// Makes it durable. [`SqlError::Commit`] means that nobody knows whether it is.
    async fn commit(self: Box<Self>) -> Result<(), SqlError>;
}
