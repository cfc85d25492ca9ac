//! SQLite connections that only read, and how a statement is run on one.
//!
//! INVARIANT: a connection that is kept has no open transaction, so that the next read begins at what is committed by then.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, ToSql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::file_watch::Watch;
use super::sql::{Reads, Row, SqlError, Value, legible};

/// How long a transaction waits for another process to end its own.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Steps of a statement between two looks at whether anybody still waits for it.
const STEPS: i32 = 10_000;

/// Statements that a connection keeps prepared; all of ours.
pub(super) const PREPARED: usize = 128;

/// Connections for reading, made when they are first needed.
pub(super) struct Readers {
    pub(super) file: PathBuf,
    /// Whether its files are those that were opened.
    pub(super) watch: Watch,
    pub(super) idle: Mutex<Vec<Connection>>,
    pub(super) turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Connection, SqlError> {
        let idle = self.idle().pop();
        idle.map_or_else(|| connect_to_read(&self.file).map_err(opening), Ok)
    }

    /// Waits for a connection.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, SqlError> {
        Arc::clone(&self.turns).acquire_owned().await.map_err(opening)
    }

    /// Reads on a thread that may wait; ends the statement once `left` is set.
    pub(super) async fn read(
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
pub(super) struct Left(pub(super) Arc<AtomicBool>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) fn connect_to_read(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -16384)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

/// An open transaction that only reads. It waits for no turn: whoever asks for one is asked by all who are to be answered.
pub(super) struct Snapshot {
    readers: Arc<Readers>,
    connection: Option<Connection>,
}

impl Snapshot {
    pub(super) fn begin(readers: Arc<Readers>) -> Result<Self, SqlError> {
        let connection = readers.take()?;
        // Whoever read with it last may have left.
        connection.progress_handler(STEPS, None::<fn() -> bool>).map_err(running)?;
        connection.execute_batch("begin").map_err(opening)?;
        Ok(Self { readers, connection: Some(connection) })
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // One that does not end its transaction would read what was; and after the room was closed none is kept.
        if connection.execute_batch("rollback").is_ok() && !self.readers.turns.is_closed() {
            self.readers.idle().push(connection);
        }
    }
}

#[async_trait]
impl Reads for Snapshot {
    async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        read(self.connection.as_ref().ok_or_else(|| opening("the transaction has ended"))?, sql, &args)
    }
}

/// `$1` is a name to SQLite, and names are numbered as they come; `?1` is the number itself.
pub(super) fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

pub(super) fn read(connection: &Connection, sql: &str, args: &[Value]) -> Result<Vec<Row>, SqlError> {
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

pub(super) fn bind(statement: &mut Statement<'_>, args: &[Value]) -> Result<(), SqlError> {
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

pub(super) fn opening(error: impl Into<super::sql::DriverError>) -> SqlError {
    SqlError::Open(error.into())
}

/// A value that is too large, or not of its column's type, is refused again; everything else may pass.
pub(super) fn running(error: rusqlite::Error) -> SqlError {
    let about_values = [rusqlite::ffi::SQLITE_CONSTRAINT_DATATYPE, rusqlite::ffi::SQLITE_CONSTRAINT_CHECK];
    let refused = matches!(error.sqlite_error_code(), Some(ErrorCode::TooBig | ErrorCode::TypeMismatch))
        || error.sqlite_error().is_some_and(|error| about_values.contains(&error.extended_code));
    if refused { SqlError::Refused(error.into()) } else { SqlError::Statement(error.into()) }
}
