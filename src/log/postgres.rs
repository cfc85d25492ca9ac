//! PostgreSQL behind the door, through `sqlx`.
//!
//! INVARIANT: rows of one table go in one statement, whatever their number, because each statement is a round trip.

use std::str::FromStr;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Executor, Postgres, Row as _, TypeInfo, ValueRef};

use super::dialect::{Dialect, POSTGRES, Room};
use super::sql::{Database, Holds, Insert, Row, SqlError, Transaction, Value};

struct Pools {
    write: PgPool,
    read: PgPool,
}

struct Open {
    transaction: sqlx::Transaction<'static, Postgres>,
}

/// Opens one room of a PostgreSQL database: one schema of the same name.
pub async fn open_postgres(url: &str, room: Room) -> Result<Box<dyn Database>, SqlError> {
    let options = PgConnectOptions::from_str(url).map_err(opening)?.options([("search_path", room.name())]);
    let write = PgPoolOptions::new().max_connections(2).connect_with(options.clone()).await.map_err(opening)?;
    let read = PgPoolOptions::new().max_connections(4).connect_with(options).await.map_err(opening)?;
    Ok(Box::new(Pools { write, read }))
}

fn bind(sql: &str, args: Vec<Value>) -> Query<'static, Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    args.into_iter().fold(query, |query, arg| match arg {
        Value::Null => query.bind(None::<String>),
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
        Value::Texts(list) => query.bind(list),
    })
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
impl Database for Pools {
    fn dialect(&self) -> &'static Dialect {
        &POSTGRES
    }

    async fn query(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let mut connection = self.read.acquire().await.map_err(opening)?;
        let rows = bind(sql, args).fetch_all(&mut *connection).await.map_err(running)?;
        rows.iter().map(decode).collect()
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, SqlError> {
        let transaction = self.write.begin().await.map_err(opening)?;
        Ok(Box::new(Open { transaction }))
    }

    async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }
}

#[async_trait]
impl Transaction for Open {
    async fn query(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let rows = bind(sql, args).fetch_all(&mut *self.transaction).await.map_err(running)?;
        rows.iter().map(decode).collect()
    }

    async fn execute(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, SqlError> {
        let done = bind(sql, args).execute(&mut *self.transaction).await.map_err(running)?;
        Ok(done.rows_affected())
    }

    async fn insert(&mut self, into: &'static Insert, rows: Vec<Vec<Value>>) -> Result<(), SqlError> {
        if rows.is_empty() {
            return Ok(());
        }
        let query = sqlx::query(AssertSqlSafe(many_rows(into)));
        let query = columns(into, rows).into_iter().fold(query, |query, column| match column {
            Values::Ints(values) => query.bind(values),
            Values::Texts(values) => query.bind(values),
            Values::Bytes(values) => query.bind(values),
        });
        query.execute(&mut *self.transaction).await.map(|_| ()).map_err(running)
    }

    async fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        (&mut *self.transaction).execute(script).await.map(|_| ()).map_err(running)
    }

    async fn commit(self: Box<Self>) -> Result<(), SqlError> {
        self.transaction.commit().await.map_err(|error| SqlError::Commit(error.into()))
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

/// The values of one column, row by row.
enum Values {
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

fn opening(error: sqlx::Error) -> SqlError {
    SqlError::Open(error.into())
}

fn running(error: sqlx::Error) -> SqlError {
    SqlError::Statement(error.into())
}
