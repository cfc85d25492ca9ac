//! Which payload parts there are, without their content: what a walk of the log holds against its events.

use super::sql::{Database, Row};
use super::store::StoreError;
use crate::core::id::Position;

/// A part of an event: where that is, and the part's name.
type Name = (Position, String);

/// The parts of the events from `first` to `last`.
pub(super) async fn between(database: &dyn Database, first: Position, last: Position) -> Result<Vec<Name>, StoreError> {
    let sql = "select position, part from payload where position between $1 and $2";
    database.query(sql, vec![first.0.into(), last.0.into()]).await?.into_iter().map(name).collect()
}

/// The first parts after `after` that belong to no event. One statement sees both tables at one moment.
pub(super) async fn strays(database: &dyn Database, after: Position) -> Result<Vec<Name>, StoreError> {
    let sql = "select position, part from payload where position > $1 and not exists
        (select 1 from event where event.position = payload.position) order by position, part limit 1000";
    database.query(sql, vec![after.0.into()]).await?.into_iter().map(name).collect()
}

fn name(mut row: Row) -> Result<Name, StoreError> {
    Ok((Position(row.int(0)?), row.take_text(1)?))
}
