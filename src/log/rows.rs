//! Rows of the log room as they are read: how they are asked for, and what is in their columns.

use super::dialect::Dialect;
use super::peers::MAX_COUNT;
use super::sql::{Row, Value};
use super::store::{EventRow, Head, PayloadRow, StateRow, StoreError};
use crate::core::id::{CallId, Epoch, Position};
use crate::core::time::Micros;

/// The head with the newest event, which says where the log stands: what is stored in the head is held against it.
pub(super) const HEAD_AND_NEWEST: &str =
    "log_head h left join (select position, at from event order by position desc limit 1) e on 1 = 1";
pub(super) const NEWEST: &str = "coalesce(e.position, 0), coalesce(e.at, 0)";

pub(super) const BY_KIND: &str =
    "select name, control, position, doc from state where name >= $1 and name < $2 order by name limit $3";

/// The rows of a kind. Nodes are never so many; whoever is handed that many rows knows that there may be more.
pub(super) fn range_of(kind: &str) -> Vec<Value> {
    range_under(&format!("{kind}:"), if kind == "node" { MAX_COUNT } else { usize::MAX })
}

/// The rows whose names begin with `prefix`: up to, not including, the same with the next character in its last one's place.
pub(super) fn range_under(prefix: &str, most: usize) -> Vec<Value> {
    range_after(prefix, None, most)
}

/// Those of them that come after the name `after`. No name has a character before U+0001: PostgreSQL stores no U+0000.
pub(super) fn range_after(prefix: &str, after: Option<&str>, most: usize) -> Vec<Value> {
    let mut end = prefix.to_owned();
    let next = end.pop().and_then(|last| char::from_u32(u32::from(last) + 1));
    end.extend(next);
    let start = after.map_or_else(|| prefix.to_owned(), |after| format!("{after}\u{1}"));
    vec![start.into(), end.into(), i64::try_from(most).unwrap_or(i64::MAX).into()]
}

pub(super) fn by_name(database: &'static Dialect) -> String {
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

pub(super) fn payload_row(mut row: Row) -> Result<PayloadRow, StoreError> {
    let position = Position(row.int(0)?);
    Ok(PayloadRow { position, part: row.take_text(1)?, key: row.take_text(2)?, body: row.take_bytes(3)? })
}

pub(super) fn state_row(mut row: Row) -> Result<StateRow, StoreError> {
    let (control, position) = (row.int(1)? == 1, Position(row.int(2)?));
    Ok(StateRow { name: row.take_text(0)?, control, position, doc: row.take_bytes(3)? })
}
