//! Loading control state: the rows that changed are taken over, and held against what the log says of all of them (P12).
//!
//! INVARIANT: nothing is decided with rows that the newest event beside the calls does not speak of. Rows are read on as many
//! threads as there are processors, because a start reads all there are; they are taken over on one, and each row by itself, so
//! the order in which they come makes no difference.

use std::num::NonZero;
use std::sync::mpsc::sync_channel;

use super::store::{Found, StateRow, Store, StoreError, Want};
use crate::core::event::Event;
use crate::core::id::Position;
use crate::core::root::{Root, RootKey};
use crate::core::state::ControlState;
use crate::core::stored::ReadRow;

/// So many rows are read at a time. Fewer of them are not worth a thread.
const CHUNK: usize = 2048;

/// Chunks of a thread that are read and not taken over yet.
const AHEAD: usize = 4;

/// Loads the control rows that changed, and holds them against what the newest event beside the calls says of them.
pub(super) fn load(state: &mut ControlState, found: &Found, newest: Position) -> Result<(), StoreError> {
    take(state, &found.changed)?;
    for row in &found.changed {
        // One that says it is of later than the newest event must not hide what changes next.
        state.position = state.position.max(row.position.min(newest));
    }
    let witness = found.witness.as_deref().map(Event::decode).transpose();
    let witness = witness.map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let newest = witness.as_ref().map(|event| (event.position, event.control.as_deref().unwrap_or_default()));
    if state.follows(newest) {
        return Ok(());
    }
    if newest.is_some_and(|(_, root)| Root::is_earlier(root)) {
        let text = "the log is of an earlier version, whose control state this one cannot hold against it: begin a new one";
        return Err(StoreError::Differs(text.into()));
    }
    let text = "control state is not what the log says it is: `forelog doctor` names the difference";
    Err(StoreError::Differs(text.into()))
}

/// Whether control state is what the log says of it by this key. It is not if the key is another log's, or if rows were changed.
pub async fn is_recorded_with(store: &dyn Store, key: RootKey) -> Result<bool, StoreError> {
    let mut state = ControlState::under(key);
    let want = Want { known_position: Want::NOTHING_KNOWN, known_epoch: state.epoch, ..Want::default() };
    let (head, found) = store.read(&want).await?;
    if head.epoch == state.epoch {
        return Ok(true);
    }
    match load(&mut state, &found, head.position) {
        Ok(()) => Ok(true),
        Err(StoreError::Differs(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn take(state: &mut ControlState, rows: &[StateRow]) -> Result<(), StoreError> {
    // It reads with the same key, and is none of what is changed meanwhile.
    let reader = state.anew();
    if rows.len() <= CHUNK {
        read(&reader, rows)?.into_iter().for_each(|row| state.take(row));
        return Ok(());
    }
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        let (send, received) = sync_channel(AHEAD * threads);
        let read_each = |thread: usize| {
            let (send, reader) = (send.clone(), &reader);
            move || {
                for chunk in rows.chunks(CHUNK).skip(thread).step_by(threads) {
                    // Whoever does not listen any more has found one that cannot be read.
                    if send.send(read(reader, chunk)).is_err() {
                        return;
                    }
                }
            }
        };
        let reading: Vec<_> = (0..threads).map(|thread| scope.spawn(read_each(thread))).collect();
        drop(send);
        for read in received {
            read?.into_iter().for_each(|row| state.take(row));
        }
        // One that panicked has left rows out.
        reading.into_iter().try_for_each(|thread| thread.join().map_err(|_| StoreError::Panicked))
    })
}

fn read(reader: &ControlState, rows: &[StateRow]) -> Result<Vec<ReadRow>, StoreError> {
    let read = |row: &StateRow| {
        let (kind, key) = row.name.split_once(':').unwrap_or((&row.name, ""));
        reader.read(kind, key, &row.doc).map_err(|error| StoreError::Differs(error.to_string()))
    };
    rows.iter().map(read).collect()
}
