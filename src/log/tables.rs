//! The tables of the log room, as rows go into them.

use super::dialect::Dialect;
use super::sql::{Change, Holds, Insert, Transaction, Value};
use super::store::{Batch, Head, StoreError};
use crate::core::id::Position;
use crate::core::time::Micros;

/// Events.
pub static EVENTS: Insert = Insert {
    table: "event",
    columns: &[
        ("position", Holds::Int),
        ("at", Holds::Int),
        ("type", Holds::Text),
        ("call", Holds::Text),
        ("leaf", Holds::Bytes),
    ],
    on_conflict: "",
};

/// Their payloads.
pub static PAYLOADS: Insert = Insert {
    table: "payload",
    columns: &[("position", Holds::Int), ("part", Holds::Text), ("key", Holds::Text), ("body", Holds::Bytes)],
    on_conflict: "",
};

/// State rows, new or changed.
pub static STATE: Insert = Insert {
    table: "state",
    columns: &[("name", Holds::Text), ("control", Holds::Int), ("position", Holds::Int), ("doc", Holds::Bytes)],
    on_conflict: "on conflict (name) do update set control = excluded.control, position = excluded.position, doc = excluded.doc",
};

/// Writes a batch behind this head, whose position and time are stored as given; answers the head after it.
pub(super) async fn write(
    transaction: &mut dyn Transaction,
    dialect: &'static Dialect,
    (head, stored): (&Head, (Position, Micros)),
    batch: Batch,
) -> Result<Head, StoreError> {
    let last = batch.events.last().map_or((head.position, head.at), |event| (event.position, event.at));
    let moved = Head { position: last.0, at: last.1, epoch: batch.epoch };
    let events = batch
        .events
        .into_iter()
        .map(|event| vec![event.position.0.into(), event.at.0.into(), event.kind.into(), event.call.into(), event.leaf.into()]);
    let payloads =
        batch.payloads.into_iter().map(|row| vec![row.position.0.into(), row.part.into(), row.key.into(), row.body.into()]);
    let puts = batch
        .puts
        .into_iter()
        .map(|row| vec![row.name.into(), i64::from(row.control).into(), row.position.0.into(), row.doc.into()]);
    let mut changes = vec![
        Change::Insert(&EVENTS, events.collect()),
        Change::Insert(&PAYLOADS, payloads.collect()),
        Change::Insert(&STATE, puts.collect()),
    ];
    if !batch.deletes.is_empty() {
        changes.push(Change::Run(format!("delete from state where name {}", dialect.among), vec![Value::Texts(batch.deletes)]));
    }
    // A head that was pushed is left for the repair to be found: it never goes back by itself.
    let (position, at) = if batch.repairs { last } else { (last.0.max(stored.0), last.1.max(stored.1)) };
    let mut values: Vec<Value> = vec![position.0.into(), at.0.into(), moved.epoch.0.into()];
    let ahead = if batch.ahead.is_some() { ", ahead = $4" } else { "" };
    values.extend(batch.ahead.map(Value::from));
    let repaired = if batch.repairs { ", mended = mended + 1" } else { "" };
    let sql = format!("update log_head set position = $1, at = $2, epoch = $3{ahead}{repaired} where log_id = 1");
    changes.push(Change::Run(sql, values));
    transaction.change(changes).await?;
    Ok(moved)
}
