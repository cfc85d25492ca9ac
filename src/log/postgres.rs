//! The PostgreSQL implementation, through `sqlx`.
//!
//! INVARIANT: rows of one table go in one statement, whatever their number, because each statement is a round trip.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool::managed::Object;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Postgres, Row as _, TypeInfo, ValueRef};

use super::blockers;
use super::dialect::{Dialect, POSTGRES, Room};
use super::notices::Notices;
use super::session::{Servers, Session, Sessions, had_died, refuses_commit, unopened};
use super::sql::{Change, Database, Holds, Insert, Reads, Row, SqlError, Transaction, Value, legible};

/// Locks the head with the first message. Whatever else is waited for after that keeps everybody else waiting who needs the
/// head, so it is not waited for as long: no other append can have it.
const BEGIN_APPEND: &str = "begin; select position from log_head where log_id = 1 for update; set local lock_timeout = 200";

/// What is read after that is all of the moment of the first statement, which is after this one.
const BEGIN_SNAPSHOT: &str = "begin isolation level repeatable read, read only";

struct Postgresql {
    write: Sessions,
    read: Sessions,
    /// For snapshots, which wait for nobody's long reads.
    snapshots: Sessions,
    notices: Arc<Notices>,
}

struct Open {
    /// None once it is ended.
    session: Option<Object<Servers>>,
}

/// Opens one room of a PostgreSQL database: one schema of the same name.
pub async fn open_postgres(url: &str, room: Room) -> Result<Box<dyn Database>, SqlError> {
    let servers = || Servers::read(url, room).map_err(opening);
    let (write, read, snapshots) = (servers()?.pool(2)?, servers()?.pool(room.readers())?, servers()?.pool(1)?);
    let notices = Notices::new(servers()?)?;
    // So that a wrong URL is found now.
    drop(read.get().await.map_err(unopened)?);
    Ok(Box::new(Postgresql { write, read, snapshots, notices }))
}

type Question = Query<'static, Postgres, PgArguments>;

fn bind(sql: &str, args: Vec<Value>) -> Question {
    args.into_iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), bind_one)
}

fn bind_one(query: Question, value: Value) -> Question {
    match value {
        Value::Null => query.bind(None::<String>),
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
        Value::Texts(list) => query.bind(list),
    }
}

fn decode(row: &PgRow) -> Result<Row, SqlError> {
    let read = |column: usize| -> Result<Value, SqlError> {
        let raw = row.try_get_raw(column).map_err(running)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let value = match raw.type_info().name() {
            "INT8" => row.try_get(column).map(Value::Int),
            "TEXT" | "VARCHAR" | "NAME" => row.try_get(column).map(Value::Text),
            "BYTEA" => row.try_get(column).map(Value::Bytes),
            _ => return Err(SqlError::Column(column)),
        };
        value.map_err(running)
    };
    row.columns().iter().map(|column| read(column.ordinal())).collect::<Result<_, _>>().map(Row)
}

#[async_trait]
impl Database for Postgresql {
    fn dialect(&self) -> &'static Dialect {
        &POSTGRES
    }

    async fn query(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        legible(&args)?;
        loop {
            let mut session = self.read.get().await.map_err(unopened)?;
            match session.rows(bind(sql, args.clone())).await {
                Ok(rows) => return rows.iter().map(decode).collect(),
                Err(error) if had_died(&session, &error) => {}
                Err(error) => return Err(running(error)),
            }
        }
    }

    async fn query_within(&self, sql: &str, args: Vec<Value>, budget: Duration) -> Result<Vec<Row>, SqlError> {
        legible(&args)?;
        let begin = format!("begin read only; set local statement_timeout = {}", budget.as_millis().max(1));
        loop {
            let mut session = self.read.get().await.map_err(unopened)?;
            match session.script(AssertSqlSafe(begin.clone())).await {
                Ok(()) => {}
                Err(error) if had_died(&session, &error) => continue,
                Err(error) => return Err(running(error)),
            }
            let rows = session.rows(bind(sql, args)).await;
            // After an error there is a transaction to be rolled back: it ends with its connection.
            if rows.is_err() || session.say("commit").await.is_err() {
                drop(Object::take(session));
            }
            let rows = rows.map_err(|error| if is_over(&error) { SqlError::TooLong(budget) } else { running(error) })?;
            return rows.iter().map(decode).collect();
        }
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError> {
        begin_with(&self.write, "begin").await
    }

    async fn begin_append(&self) -> Result<Box<dyn Transaction>, SqlError> {
        match begin_with(&self.write, BEGIN_APPEND).await {
            Err(SqlError::Open(source)) if blockers::are_there(&source) => Err(blockers::passed(self, source).await),
            begun => begun,
        }
    }

    async fn snapshot(&self) -> Result<Box<dyn Reads>, SqlError> {
        Ok(begin_with(&self.snapshots, BEGIN_SNAPSHOT).await?)
    }

    async fn explained(&self, error: SqlError) -> SqlError {
        match error {
            SqlError::Statement(source) if blockers::are_there(&source) => blockers::row_held(self, source).await,
            SqlError::RowHeld { by, source } if by.is_empty() => {
                SqlError::RowHeld { by: blockers::row_held_by(self).await, source }
            }
            other => other,
        }
    }

    async fn blockers(&self) -> Result<Vec<String>, SqlError> {
        blockers::held(self).await
    }

    fn notify_epoch(&self, epoch: i64) {
        self.notices.send(epoch);
    }

    async fn next_epoch(&self) -> Result<Option<i64>, SqlError> {
        self.notices.receive().await
    }

    async fn close(&self) {
        self.notices.close().await;
        for pool in [&self.write, &self.read, &self.snapshots] {
            for session in pool.retain(|_, _| false).removed {
                session.close().await;
            }
            pool.close();
        }
    }
}

async fn begin_with(sessions: &Sessions, words: &'static str) -> Result<Box<dyn Transaction>, SqlError> {
    loop {
        let mut session = sessions.get().await.map_err(unopened)?;
        match session.say(words).await {
            Ok(()) => return Ok(Box::new(Open { session: Some(session) })),
            Err(error) if had_died(&session, &error) => {}
            Err(error) => {
                // It may have begun and then not got the lock: what it holds is gone before anybody looks for who holds it.
                undo(session).await;
                return Err(opening(error));
            }
        }
    }
}

/// Rolls back. Where that cannot be asked for, what is held ends with the connection.
async fn undo(mut session: Object<Servers>) {
    if !session.in_step() || session.say("rollback").await.is_err() {
        drop(Object::take(session));
    }
}

impl Open {
    fn session(&mut self) -> Result<&mut Session, SqlError> {
        self.session.as_deref_mut().ok_or_else(|| SqlError::Statement("the transaction has ended".into()))
    }
}

/// Rolls back at once: it may hold the log's head. Where that cannot be asked for, the connection is closed.
impl Drop for Open {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if session.in_step() => {
                runtime.spawn(undo(session));
            }
            _ => drop(Object::take(session)),
        }
    }
}

#[async_trait]
impl Reads for Open {
    async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        legible(&args)?;
        let rows = self.session()?.rows(bind(sql, args)).await.map_err(running)?;
        rows.iter().map(decode).collect()
    }
}

#[async_trait]
impl Transaction for Open {
    async fn execute(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, SqlError> {
        legible(&args)?;
        let done = self.session()?.execute(bind(sql, args)).await.map_err(running)?;
        Ok(done.rows_affected())
    }

    async fn insert(&mut self, into: &'static Insert, rows: Vec<Vec<Value>>) -> Result<(), SqlError> {
        self.change(vec![Change::Insert(into, rows)]).await
    }

    async fn change(&mut self, changes: Vec<Change>) -> Result<(), SqlError> {
        for change in &changes {
            match change {
                Change::Insert(_, rows) => legible(rows.iter().flatten())?,
                Change::Run(_, args) => legible(args)?,
            }
        }
        let Some((sql, values)) = one_statement(changes) else { return Ok(()) };
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = values.into_iter().fold(query, |query, values| match values {
            Values::One(value) => bind_one(query, value),
            Values::Ints(values) => query.bind(values),
            Values::Texts(values) => query.bind(values),
            Values::Bytes(values) => query.bind(values),
        });
        self.session()?.execute(query).await.map(|_| ()).map_err(running)
    }

    async fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        self.session()?.script(AssertSqlSafe(sql.to_owned())).await.map_err(running)
    }

    async fn rollback(mut self: Box<Self>) {
        if let Some(session) = self.session.take() {
            undo(session).await;
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<(), SqlError> {
        let failed =
            |error| if refuses_commit(&error) { SqlError::Statement(error.into()) } else { SqlError::Commit(error.into()) };
        let done = self.session()?.say("commit").await.map_err(failed);
        // After an error there is still something to be rolled back, or to be closed.
        if done.is_ok() {
            self.session = None;
        }
        done
    }
}

/// The statement that inserts any number of rows: one array for each column.
#[must_use]
pub fn many_rows(into: &Insert) -> String {
    let array = |(column, (_, holds)): (usize, &(&str, Holds))| {
        let kind = match holds {
            Holds::Int => "bigint",
            Holds::Text => "text",
            Holds::Bytes => "bytea",
        };
        format!("${}::{kind}[]", column + 1)
    };
    let arrays: Vec<String> = into.columns.iter().enumerate().map(array).collect();
    let (table, names) = (into.table, into.names());
    format!("insert into {table} ({names}) select * from unnest({}) {}", arrays.join(", "), into.on_conflict)
}

/// All changes as one statement, because each statement is a round trip; none if there are none.
fn one_statement(changes: Vec<Change>) -> Option<(String, Vec<Values>)> {
    let (mut parts, mut values) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Insert(_, rows) if rows.is_empty() => {}
            Change::Insert(into, rows) => {
                parts.push(renumbered(&many_rows(into), values.len()));
                values.extend(columns(into, rows));
            }
            Change::Run(sql, args) => {
                parts.push(renumbered(&sql, values.len()));
                values.extend(args.into_iter().map(Values::One));
            }
        }
    }
    let last = parts.pop()?;
    let before: Vec<String> = parts.iter().enumerate().map(|(n, sql)| format!("change{n} as ({sql})")).collect();
    let with = if before.is_empty() { String::new() } else { format!("with {} ", before.join(", ")) };
    Some((format!("{with}{last}"), values))
}

/// `$1` of a statement that becomes part of another, after so many values of that one.
fn renumbered(sql: &str, by: usize) -> String {
    let mut pieces = sql.split('$');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (number, rest) = piece.split_at(digits);
        let number = number.parse::<usize>().map_or(0, |number| number + by);
        format!("{text}${number}{rest}")
    })
}

/// One value, or those of one column, row by row.
enum Values {
    One(Value),
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Values {
    fn push(&mut self, value: Value) {
        match (self, value) {
            (Self::Ints(list), Value::Int(value)) => list.push(Some(value)),
            (Self::Texts(list), Value::Text(value)) => list.push(Some(value)),
            (Self::Bytes(list), Value::Bytes(value)) => list.push(Some(value)),
            (Self::One(_), _) => {}
            // A value of another type is nothing that the column can hold; as null it fails there, by name.
            (Self::Ints(list), _) => list.push(None),
            (Self::Texts(list), _) => list.push(None),
            (Self::Bytes(list), _) => list.push(None),
        }
    }
}

fn columns(into: &Insert, rows: Vec<Vec<Value>>) -> Vec<Values> {
    let empty = |(_, holds): &(&str, Holds)| match holds {
        Holds::Int => Values::Ints(Vec::with_capacity(rows.len())),
        Holds::Text => Values::Texts(Vec::with_capacity(rows.len())),
        Holds::Bytes => Values::Bytes(Vec::with_capacity(rows.len())),
    };
    let mut columns: Vec<Values> = into.columns.iter().map(empty).collect();
    for row in rows {
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    columns
}

/// The server ended the statement, because its time was over.
fn is_over(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("57014"))
}

fn opening(error: sqlx::Error) -> SqlError {
    SqlError::Open(error.into())
}

/// Classes 22 (the value) and 54 (its size) are refused again; everything else may pass.
fn running(error: sqlx::Error) -> SqlError {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    // 23514: larger than its column may be.
    let refused = code.is_some_and(|code| code.starts_with("22") || code.starts_with("54") || code == "23514");
    if refused { SqlError::Refused(error.into()) } else { SqlError::Statement(error.into()) }
}
