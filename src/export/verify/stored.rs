//! What events are held against: the rows beside the log, and its head, at one moment.

use std::collections::BTreeMap;

use crate::core::id::Epoch;
use crate::core::state::RowKind;
use crate::log::store::{Head, StateRow, Store, StoreError, Want};

/// The kinds of rows that are checked: control state, and open calls.
pub fn checked() -> impl Iterator<Item = &'static str> {
    RowKind::ALL.into_iter().map(RowKind::as_str).chain(["job"])
}

/// State rows by name.
pub(super) type Rows = BTreeMap<String, StateRow>;

/// Head and state at one moment: the kinds that are checked, and whatever a node would load.
pub(super) async fn snapshot(store: &dyn Store) -> Result<(Head, Rows), StoreError> {
    let (known_epoch, known_position) = (Epoch(i64::MIN), Want::NOTHING_KNOWN);
    let want = Want { kinds: checked().collect(), known_epoch, known_position, ..Want::default() };
    let (newest, found) = store.read(&want).await?;
    // What is stored in the head is held against the events.
    let (position, at) = found.stored;
    let rows = found.rows.into_iter().chain(found.changed).map(|row| (row.name.clone(), row)).collect();
    Ok((Head { position, at, epoch: newest.epoch }, rows))
}
