//! SQLite behind the door: one connection that writes, a few that read, through `rusqlite`.
//!
//! A file that was moved away, replaced or emptied under us is not used any more ([`super::watch`]): what was written to it
//! nobody else would see.
//!
//! INVARIANT: opening makes nothing: SQLite empties the log of writes that lies beside a file which it makes. And nothing of
//! a write transaction waits but its beginning. Statements run on the thread that asks, because
//! handing each to another thread costs more than the statement; so whoever writes much has a thread of his own (the
//! log's writer, the views' runner), and reads, which may be long, go to the blocking pool.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, ToSql};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::dialect::{Dialect, Room, SQLITE};
use super::holders::{self, Holder};
use super::sql::{Database, Insert, Row, SqlError, Transaction, Value, legible};
use super::watch::{Standing, Watch};

/// How long a transaction waits for another process to end its own.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(1);

/// Steps of a statement between two looks at whether anybody still waits for it.
const STEPS: i32 = 10_000;

/// Statements that a connection keeps prepared; all of ours.
const PREPARED: usize = 128;

/// One room: one file.
struct Sqlite {
    writer: Arc<tokio::sync::Mutex<Option<Connection>>>,
    readers: Arc<Readers>,
}

/// Connections for reading, made when they are first needed.
struct Readers {
    file: PathBuf,
    /// Whether its files are those that were opened.
    watch: Watch,
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
}

/// Opens one room of an embedded database, whose file is there: WAL, every commit flushed (views alone may lose the last ones).
pub async fn open_sqlite(file: &Path, room: Room) -> Result<Box<dyn Database>, SqlError> {
    let path = file.to_owned();
    let connect = move || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", if room == Room::Views { "normal" } else { "full" })?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
        connection.pragma_update(None, "cache_size", -65536)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        // From here on its log of writes is there.
        connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
        // From here on waiting is done by `begin`, which holds up nobody else.
        connection.busy_timeout(Duration::ZERO)?;
        Ok(connection)
    };
    let writer = tokio::task::spawn_blocking(connect).await.map_err(opening)?.map_err(opening)?;
    let watch = Watch::of(file).map_err(opening)?;
    let readers =
        Readers { file: file.to_owned(), watch, idle: Mutex::default(), turns: Arc::new(Semaphore::new(room.readers())) };
    Ok(Box::new(Sqlite { writer: Arc::new(tokio::sync::Mutex::new(Some(writer))), readers: Arc::new(readers) }))
}

impl Sqlite {
    /// That its files are those that were opened, and whole.
    async fn check(&self) -> Result<(), SqlError> {
        if self.readers.watch.look()? == Standing::Whole {
            return Ok(());
        }
        let connection = Arc::clone(&self.writer).lock_owned().await;
        let watch = Arc::clone(&self.readers);
        let judge = move || watch.watch.judge(connection.as_ref().map(put_together));
        tokio::task::spawn_blocking(judge).await.map_err(opening)?
    }

    /// Who has the write lock, by what the kernel says.
    async fn held(&self) -> Result<Vec<Holder>, SqlError> {
        let file = self.readers.file.clone();
        tokio::task::spawn_blocking(move || holders::of_sqlite(&file)).await.map_err(opening)
    }
}

impl Readers {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Connection, SqlError> {
        let idle = self.idle().pop();
        idle.map_or_else(|| connect_to_read(&self.file).map_err(opening), Ok)
    }

    /// Waits for a connection.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, SqlError> {
        Arc::clone(&self.turns).acquire_owned().await.map_err(opening)
    }

    /// Reads on a thread that may wait; ends the statement once `left` is set.
    async fn read(
        self: &Arc<Self>,
        turn: OwnedSemaphorePermit,
        sql: &str,
        args: Vec<Value>,
        left: Option<Arc<AtomicBool>>,
    ) -> Result<Vec<Row>, SqlError> {
        let (readers, sql) = (Arc::clone(self), sql.to_owned());
        let read = move || {
            let connection = readers.take()?;
            connection.progress_handler(STEPS, left.map(|left| move || left.load(Ordering::Relaxed))).map_err(running)?;
            let rows = read(&connection, &sql, &args);
            readers.idle().push(connection);
            drop(turn);
            rows
        };
        tokio::task::spawn_blocking(read).await.map_err(opening)?
    }
}

/// Set as soon as nobody waits for a statement any more, in time or not.
#[derive(Default)]
struct Left(Arc<AtomicBool>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Copies what the log of writes holds into the file, as far as nobody reads that just now; says if it cannot be read.
fn put_together(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))
}

fn connect_to_read(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "cache_size", -16384)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

#[async_trait]
impl Database for Sqlite {
    fn dialect(&self) -> &'static Dialect {
        &SQLITE
    }

    async fn query(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        self.check().await?;
        self.readers.read(self.readers.turn().await?, sql, args, None).await
    }

    async fn query_within(&self, sql: &str, args: Vec<Value>, budget: Duration) -> Result<Vec<Row>, SqlError> {
        self.check().await?;
        // The budget is the statement's: who waits for others has used none of it.
        let turn = self.readers.turn().await?;
        let left = Left::default();
        let rows = self.readers.read(turn, sql, args, Some(Arc::clone(&left.0)));
        tokio::time::timeout(budget, rows).await.unwrap_or(Err(SqlError::TooLong(budget)))
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError> {
        self.check().await?;
        let connection = Arc::clone(&self.writer).lock_owned().await;
        let open = Open { connection };
        let begin = async move {
            while !open.try_begin()? {
                tokio::time::sleep(LOOK).await;
            }
            Ok::<_, SqlError>(open)
        };
        match tokio::time::timeout(PATIENCE, begin).await {
            Ok(locked) => Ok(Box::new(locked?)),
            Err(late) => Err(SqlError::Blocked { by: holders::named(&self.held().await?), source: late.into() }),
        }
    }

    async fn blockers(&self) -> Result<Vec<String>, SqlError> {
        Ok(self.held().await?.iter().map(ToString::to_string).collect())
    }

    async fn look(&self) -> Result<(), SqlError> {
        self.check().await?;
        let file = self.readers.file.clone();
        // A connection of its own has read nothing yet.
        let look = move || connect_to_read(&file)?.query_row("select count(*) from sqlite_schema", [], |_| Ok(()));
        tokio::task::spawn_blocking(look).await.map_err(opening)?.map_err(opening)
    }

    async fn close(&self) {
        self.readers.turns.close();
        self.readers.idle().clear();
        let Some(connection) = self.writer.lock().await.take() else { return };
        // Everything into the file itself, so that it is whole wherever it is taken. What is not ours any more is left alone.
        let whole = self.readers.watch.look().is_ok_and(|standing| standing == Standing::Whole);
        let end = move || {
            if whole && let Err(error) = connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())) {
                tracing::warn!(%error, "the log of writes stays beside its database");
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(end).await {
            tracing::error!(%error, "a database was not closed in order");
        }
    }
}

/// An open transaction. It has the one connection that writes until it ends.
struct Open {
    connection: OwnedMutexGuard<Option<Connection>>,
}

impl Open {
    fn get(&self) -> Result<&Connection, SqlError> {
        self.connection.as_ref().ok_or_else(|| opening("the database was closed"))
    }

    /// Whether the write lock was free. It is taken at once: a transaction that reads first and then writes fails as soon
    /// as somebody wrote in between.
    fn try_begin(&self) -> Result<bool, SqlError> {
        match self.get()?.execute_batch("begin immediate") {
            Ok(()) => Ok(true),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
            Err(error) => Err(opening(error)),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(connection) = self.connection.as_ref().filter(|connection| !connection.is_autocommit()) else { return };
        if let Err(error) = connection.execute_batch("rollback") {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }
}

#[async_trait]
impl Transaction for Open {
    async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        read(self.get()?, sql, &args)
    }

    async fn execute(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, SqlError> {
        let mut statement = self.get()?.prepare_cached(&numbered(sql)).map_err(running)?;
        bind(&mut statement, &args)?;
        statement.raw_execute().map(|touched| touched as u64).map_err(running)
    }

    async fn insert(&mut self, into: &'static Insert, rows: Vec<Vec<Value>>) -> Result<(), SqlError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut statement = self.get()?.prepare_cached(&one_row(into)).map_err(running)?;
        for row in &rows {
            bind(&mut statement, row)?;
            statement.raw_execute().map_err(running)?;
        }
        Ok(())
    }

    async fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        self.get()?.execute_batch(sql).map_err(running)
    }

    async fn rollback(self: Box<Self>) {
        drop(self);
    }

    async fn commit(self: Box<Self>) -> Result<(), SqlError> {
        self.get()?.execute_batch("commit").map_err(|error| SqlError::Commit(error.into()))
    }
}

/// The statement that inserts one row.
#[must_use]
pub fn one_row(into: &Insert) -> String {
    let places: Vec<String> = (1..=into.columns.len()).map(|n| format!("?{n}")).collect();
    format!("insert into {} ({}) values ({}) {}", into.table, into.names(), places.join(", "), into.on_conflict)
}

/// `$1` is a name to SQLite, and names are numbered as they come; `?1` is the number itself.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn read(connection: &Connection, sql: &str, args: &[Value]) -> Result<Vec<Row>, SqlError> {
    let mut statement = connection.prepare_cached(&numbered(sql)).map_err(running)?;
    bind(&mut statement, args)?;
    let width = statement.column_count();
    let mut found = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(running)? {
        let value = |column: usize| decode(column, row.get_ref(column).map_err(running)?);
        rows.push(Row((0..width).map(value).collect::<Result<_, _>>()?));
    }
    Ok(rows)
}

fn decode(column: usize, value: ValueRef<'_>) -> Result<Value, SqlError> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(value) => Ok(Value::Int(value)),
        ValueRef::Text(bytes) => String::from_utf8(bytes.to_vec()).map(Value::Text).map_err(|_| SqlError::Column(column)),
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Real(_) => Err(SqlError::Column(column)),
    }
}

fn bind(statement: &mut Statement<'_>, args: &[Value]) -> Result<(), SqlError> {
    legible(args)?;
    for (index, arg) in args.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, arg).map_err(running)?;
    }
    Ok(())
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Self::Texts(list) => ToSqlOutput::Owned(serde_json::json!(list).to_string().into()),
        })
    }
}

/// The tables and triggers that scripts make, by kind and name, with their definitions.
pub(super) fn made_by(scripts: &[&str]) -> Result<BTreeMap<(String, String), String>, SqlError> {
    let connection = Connection::open_in_memory().map_err(opening)?;
    for script in scripts {
        connection.execute_batch(script).map_err(running)?;
    }
    let sql = "select type, name, sql from sqlite_schema where type in ('table', 'trigger')";
    let mut made = BTreeMap::new();
    for mut row in read(&connection, sql, &[])? {
        made.insert((row.take_text(0)?, row.take_text(1)?), row.take_text(2)?);
    }
    Ok(made)
}

/// Whether a change was refused by a trigger.
pub(super) fn is_forbidden(error: &SqlError) -> bool {
    let (SqlError::Statement(driver) | SqlError::Refused(driver)) = error else { return false };
    let error = driver.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error);
    let refusing = [rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER, rusqlite::ffi::SQLITE_CONSTRAINT_CHECK];
    error.is_some_and(|error| refusing.contains(&error.extended_code))
}

fn opening(error: impl Into<super::sql::DriverError>) -> SqlError {
    SqlError::Open(error.into())
}

/// A value that is too large, or not of its column's type, is refused again; everything else may pass.
fn running(error: rusqlite::Error) -> SqlError {
    let about_values = [rusqlite::ffi::SQLITE_CONSTRAINT_DATATYPE, rusqlite::ffi::SQLITE_CONSTRAINT_CHECK];
    let refused = matches!(error.sqlite_error_code(), Some(ErrorCode::TooBig | ErrorCode::TypeMismatch))
        || error.sqlite_error().is_some_and(|error| about_values.contains(&error.extended_code));
    if refused { SqlError::Refused(error.into()) } else { SqlError::Statement(error.into()) }
}
