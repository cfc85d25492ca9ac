//! The SQLite implementation: one connection that writes, a few that read, through `rusqlite`.
//!
//! A file that was moved away, replaced or emptied under us is not used any more ([`super::file_watch`]): what was written to it
//! nobody else would see.
//!
//! INVARIANT: opening makes nothing: SQLite empties the log of writes that lies beside a file which it makes. And nothing of
//! a write transaction waits but its beginning. Statements run on the thread that asks, because
//! handing each to another thread costs more than the statement; so whoever writes much has a thread of his own (the
//! log's writer, the views' runner), and reads, which may be long, go to the blocking pool.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::dialect::{Dialect, Room, SQLITE};
use super::file_watch::{Standing, Watch};
use super::lock_holders::{self, Holder};
use super::readers::{Left, PREPARED, Readers, Snapshot, TIMEOUT, bind, connect_to_read, numbered, opening, read, running};
use super::sql::{Database, Insert, Reads, Row, SqlError, Transaction, Value};

/// How long between two looks at whether it has.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// One room: one file.
struct Sqlite {
    writer: Arc<tokio::sync::Mutex<Option<Connection>>>,
    readers: Arc<Readers>,
}

/// Opens one room of an embedded database, whose file is there: WAL, every commit flushed (views alone may lose the last ones).
pub async fn open_sqlite(file: &Path, room: Room) -> Result<Box<dyn Database>, SqlError> {
    let path = file.to_owned();
    let connect = move || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(TIMEOUT)?;
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
        if self.readers.watch.check()? == Standing::Whole {
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
        tokio::task::spawn_blocking(move || lock_holders::of_sqlite(&file)).await.map_err(opening)
    }
}

/// Copies what the log of writes holds into the file, as far as nobody reads that just now; says if it cannot be read.
fn put_together(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))
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
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Ok::<_, SqlError>(open)
        };
        match tokio::time::timeout(TIMEOUT, begin).await {
            Ok(locked) => Ok(Box::new(locked?)),
            Err(late) => Err(SqlError::Blocked { by: lock_holders::named(&self.held().await?), source: late.into() }),
        }
    }

    async fn snapshot(&self) -> Result<Box<dyn Reads>, SqlError> {
        self.check().await?;
        Ok(Box::new(Snapshot::begin(Arc::clone(&self.readers))?))
    }

    async fn blockers(&self) -> Result<Vec<String>, SqlError> {
        Ok(self.held().await?.iter().map(ToString::to_string).collect())
    }

    async fn check(&self) -> Result<(), SqlError> {
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
        let whole = self.readers.watch.check().is_ok_and(|standing| standing == Standing::Whole);
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
impl Reads for Open {
    async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        read(self.get()?, sql, &args)
    }
}

#[async_trait]
impl Transaction for Open {
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
