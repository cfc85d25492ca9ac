//! What a transaction reads before it decides, or answers: the head, the rows that are wanted, control state if it moved, and the time as
//! the database has it.
//!
//! INVARIANT: all of it is of one moment, under the head's lock or in a snapshot, and read in as few round trips as there are kinds of it.

use super::dialect::Dialect;
use super::rows::{BY_KIND, HEAD_AND_NEWEST, NEWEST, event_row, head_of, names, of_calls, range_of, range_under, state_row};
use super::sql::{Reads, Value};
use super::store::{Found, Head, StoreError, Want};
use crate::core::id::{CallId, Position};
use crate::core::time::Micros;

const CHANGED: &str = "select name, control, position, doc from state where control = 1 and position > $1 order by position";
/// In the order in which the rows lie, and in which they are taken over fastest.
const ALL: &str = "select name, control, position, doc from state where control = 1 order by name";
const WITNESS: &str = "select leaf from event where call is null order by position desc limit 1";

/// The head, and the rows of a list of names, in one question.
fn head_and_rows(dialect: &Dialect) -> String {
    let columns = format!("h.epoch, {NEWEST}, h.position, h.at, {}, s.name, s.control, s.position, s.doc", dialect.clock);
    format!("select {columns} from {HEAD_AND_NEWEST} left join state s on s.name {} where h.log_id = 1", dialect.among)
}

/// Reads what is wanted.
pub(super) async fn find(
    transaction: &mut dyn Reads,
    dialect: &'static Dialect,
    want: &Want,
) -> Result<(Head, Found), StoreError> {
    let rows = transaction.query(&head_and_rows(dialect), vec![Value::Texts(want.names.clone())]).await?;
    let head = head_of(rows.first())?;
    let mut found = Found::default();
    if let Some(row) = rows.first() {
        found.clock = row.maybe_int(5)?.map(Micros);
        found.stored = (Position(row.int(3)?), Micros(row.int(4)?));
    }
    for row in rows.into_iter().filter_map(|row| row.after(6)) {
        found.rows.push(state_row(row)?);
    }
    for kind in &want.kinds {
        for row in transaction.query(BY_KIND, range_of(kind)).await? {
            found.rows.push(state_row(row)?);
        }
    }
    for prefix in &want.under {
        for row in transaction.query(BY_KIND, range_under(prefix, usize::MAX)).await? {
            found.rows.push(state_row(row)?);
        }
    }
    if !want.calls.is_empty() {
        found.calls = want.calls.iter().map(|call| (call.clone(), Vec::new())).collect();
        for row in transaction.query(&of_calls(dialect), vec![names(&want.calls)]).await? {
            let row = event_row(row)?;
            let call = row.call.as_deref().and_then(|call| call.parse().ok());
            if let Some(events) = call.and_then(|call: CallId| found.calls.get_mut(&call)) {
                events.push(row);
            }
        }
    }
    if head.epoch != want.known_epoch || head.epoch.is_spent() {
        let rows = match want.known_position {
            Want::NOTHING_KNOWN => transaction.query(ALL, Vec::new()).await?,
            known => transaction.query(CHANGED, vec![known.0.into()]).await?,
        };
        found.changed = rows.into_iter().map(state_row).collect::<Result<_, _>>()?;
        let newest = transaction.query(WITNESS, Vec::new()).await?.pop();
        found.witness = newest.map(|mut row| row.take_bytes(0)).transpose()?;
    }
    Ok((head, found))
}
