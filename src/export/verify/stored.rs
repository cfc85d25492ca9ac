//! What events are held against: the rows beside the log, and its head, at one moment.

use std::collections::BTreeMap;

use crate::core::id::{Epoch, Position};
use crate::core::state::RowKind;
use crate::core::time::Micros;
use crate::log::store::{Batch, Head, StateRow, Store, StoreError, Want};

/// The kinds of rows that are checked: control state, and open calls.
pub fn checked() -> impl Iterator<Item = &'static str> {
    RowKind::ALL.into_iter().map(RowKind::as_str).chain(["job"])
}

/// State rows by name.
pub(super) type Rows = BTreeMap<String, StateRow>;

/// Head and state at one moment: the kinds that are checked, and whatever a node would load. The transaction writes nothing.
pub(super) async fn snapshot(store: &dyn Store) -> Result<(Head, Rows), StoreError> {
    let (known_epoch, known_position) = (Epoch(i64::MIN), Position(i64::MIN));
    let want = Want { kinds: checked().collect(), known_epoch, known_position, ..Want::default() };
    let (mut rows, mut stored) = (Rows::new(), (Position(0), Micros(0)));
    let newest = store
        .transact(&want, &mut |head, found| {
            stored = found.stored;
            rows = found.rows.into_iter().chain(found.changed).map(|row| (row.name.clone(), row)).collect();
            Ok(Batch { epoch: head.epoch, ..Batch::default() })
        })
        .await?;
    // What is stored in the head is held against the events.
    Ok((Head { position: stored.0, at: stored.1, epoch: newest.epoch }, rows))
}
