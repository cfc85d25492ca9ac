//! One door to both databases. Columns are integer, text, bytes or null of these, so one small value type carries
//! everything, and the store, the vault and the views are written once.
//!
//! INVARIANT: SQL text is written with `$1 … $n` and comes from this crate; values are always bound.

use std::fmt::Debug;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, Column, Decode, Encode, Executor, IntoArguments, Pool, Postgres, Row as _, Sqlite, Type, TypeInfo, ValueRef,
};

use super::dialect::{Dialect, POSTGRES, Room, SQLITE};

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
}

/// One row, by column number.
#[derive(Clone, Debug)]
pub struct Row(Vec<Value>);

/// A database that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// Opening or reaching it.
    #[error("opening the database")]
    Open(#[source] sqlx::Error),
    /// A statement before the commit: nothing was stored.
    #[error("running a statement")]
    Statement(#[source] sqlx::Error),
    /// The commit: it may or may not have been stored.
    #[error("committing")]
    Commit(#[source] sqlx::Error),
    /// A column that is not what the schema says.
    #[error("reading column {0}")]
    Column(usize),
    /// The schema is newer than this program.
    #[error("the schema of {room:?} is at version {found}, this program knows {known}")]
    TooNew {
        /// Which room.
        room: Room,
        /// Version in the database.
        found: i64,
        /// Newest version this program has.
        known: i64,
    },
}

impl Row {
    /// An integer column.
    pub fn int(&self, column: usize) -> Result<i64, SqlError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            _ => Err(SqlError::Column(column)),
        }
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

    /// A text column that may be null.
    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>, SqlError> {
        if self.0.get(column) == Some(&Value::Null) { Ok(None) } else { self.text(column).map(Some) }
    }
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

/// One room of data on one database.
#[async_trait]
pub trait Database: Send + Sync {
    /// What differs between the two databases.
    fn dialect(&self) -> &'static Dialect;
    /// Reads, outside any write transaction.
    async fn query(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError>;
    /// Begins a write transaction.
    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError>;
    /// Closes every connection, so that the files can be moved.
    async fn close(&self);
}

/// A write transaction. Dropping it rolls back.
#[async_trait]
pub trait Transaction: Send {
    /// Reads within the transaction.
    async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError>;
    /// Writes; answers how many rows were touched.
    async fn execute(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, SqlError>;
    /// Runs several statements without values (migrations).
    async fn script(&mut self, sql: &str) -> Result<(), SqlError>;
    /// Makes it durable. [`SqlError::Commit`] means that nobody knows whether it is.
    async fn commit(self: Box<Self>) -> Result<(), SqlError>;
}

struct Pools<D: sqlx::Database> {
    dialect: &'static Dialect,
    write: Pool<D>,
    read: Pool<D>,
}

struct Open<D: sqlx::Database> {
    transaction: sqlx::Transaction<'static, D>,
}

/// Opens one room of an embedded database: one file, WAL, every commit flushed (views alone may lose the last ones).
pub async fn open_sqlite(file: &Path, room: Room) -> Result<Box<dyn Database>, SqlError> {
    let synchronous = if room == Room::Views { SqliteSynchronous::Normal } else { SqliteSynchronous::Full };
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", "-65536");
    let write = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await.map_err(SqlError::Open)?;
    let read = SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await.map_err(SqlError::Open)?;
    Ok(Box::new(Pools::<Sqlite> { dialect: &SQLITE, write, read }))
}

/// Opens one room of a PostgreSQL database: one schema of the same name.
pub async fn open_postgres(url: &str, room: Room) -> Result<Box<dyn Database>, SqlError> {
    let options = PgConnectOptions::from_str(url).map_err(SqlError::Open)?.options([("search_path", room.name())]);
    let write = PgPoolOptions::new().max_connections(2).connect_with(options.clone()).await.map_err(SqlError::Open)?;
    let read = PgPoolOptions::new().max_connections(4).connect_with(options).await.map_err(SqlError::Open)?;
    Ok(Box::new(Pools::<Postgres> { dialect: &POSTGRES, write, read }))
}

fn bind<'q, D>(sql: &str, args: Vec<Value>) -> sqlx::query::Query<'q, D, D::Arguments>
where
    D: sqlx::Database,
    i64: Encode<'q, D> + Type<D>,
    String: Encode<'q, D> + Type<D>,
    Vec<u8>: Encode<'q, D> + Type<D>,
    Option<String>: Encode<'q, D> + Type<D>,
    D::Arguments: IntoArguments<D>,
{
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    args.into_iter().fold(query, |query, arg| match arg {
        Value::Null => query.bind(None::<String>),
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

fn decode<D>(row: &D::Row) -> Result<Row, SqlError>
where
    D: sqlx::Database,
    for<'r> i64: Decode<'r, D> + Type<D>,
    for<'r> String: Decode<'r, D> + Type<D>,
    for<'r> Vec<u8>: Decode<'r, D> + Type<D>,
    usize: sqlx::ColumnIndex<D::Row>,
{
    let read = |column: usize| -> Result<Value, SqlError> {
        let raw = row.try_get_raw(column).map_err(SqlError::Statement)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let value = match raw.type_info().name() {
            "INTEGER" | "INT8" => row.try_get(column).map(Value::Int),
            "TEXT" | "VARCHAR" | "NAME" => row.try_get(column).map(Value::Text),
            "BLOB" | "BYTEA" => row.try_get(column).map(Value::Bytes),
            _ => return Err(SqlError::Column(column)),
        };
        value.map_err(SqlError::Statement)
    };
    row.columns().iter().map(|column| read(column.ordinal())).collect::<Result<_, _>>().map(Row)
}

#[async_trait]
impl<D> Database for Pools<D>
where
    D: sqlx::Database,
    D::Row: Send,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    for<'q> i64: Encode<'q, D> + Decode<'q, D> + Type<D>,
    for<'q> String: Encode<'q, D> + Decode<'q, D> + Type<D>,
    for<'q> Vec<u8>: Encode<'q, D> + Decode<'q, D> + Type<D>,
    for<'q> Option<String>: Encode<'q, D> + Type<D>,
    D::Arguments: IntoArguments<D>,
    D::QueryResult: RowsAffected,
    usize: sqlx::ColumnIndex<D::Row>,
{
    fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    async fn query(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let mut connection = self.read.acquire().await.map_err(SqlError::Open)?;
        let rows = bind::<D>(sql, args).fetch_all(&mut *connection).await.map_err(SqlError::Statement)?;
        rows.iter().map(decode::<D>).collect()
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError> {
        let transaction = self.write.begin_with(self.dialect.begin_write).await.map_err(SqlError::Open)?;
        Ok(Box::new(Open::<D> { transaction }))
    }

    async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }
}

#[async_trait]
impl<D> Transaction for Open<D>
where
    D: sqlx::Database,
    D::Row: Send,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    for<'q> i64: Encode<'q, D> + Decode<'q, D> + Type<D>,
    for<'q> String: Encode<'q, D> + Decode<'q, D> + Type<D>,
    for<'q> Vec<u8>: Encode<'q, D> + Decode<'q, D> + Type<D>,
    for<'q> Option<String>: Encode<'q, D> + Type<D>,
    D::Arguments: IntoArguments<D>,
    D::QueryResult: RowsAffected,
    usize: sqlx::ColumnIndex<D::Row>,
{
    async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let rows = bind::<D>(sql, args).fetch_all(&mut *self.transaction).await.map_err(SqlError::Statement)?;
        rows.iter().map(decode::<D>).collect()
    }

    async fn execute(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, SqlError> {
        let done = bind::<D>(sql, args).execute(&mut *self.transaction).await.map_err(SqlError::Statement)?;
        Ok(done.rows_affected())
    }

    async fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        (&mut *self.transaction).execute(script).await.map(|_| ()).map_err(SqlError::Statement)
    }

    async fn commit(self: Box<Self>) -> Result<(), SqlError> {
        self.transaction.commit().await.map_err(SqlError::Commit)
    }
}

/// The one thing that sqlx leaves to each driver.
trait RowsAffected: Debug {
    fn rows_affected(&self) -> u64;
}

impl RowsAffected for sqlx::sqlite::SqliteQueryResult {
    fn rows_affected(&self) -> u64 {
        sqlx::sqlite::SqliteQueryResult::rows_affected(self)
    }
}

impl RowsAffected for sqlx::postgres::PgQueryResult {
    fn rows_affected(&self) -> u64 {
        sqlx::postgres::PgQueryResult::rows_affected(self)
    }
}
