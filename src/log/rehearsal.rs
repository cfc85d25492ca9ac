//! Whether what stops calls could be written now: everything that engaging and releasing a switch and revoking a key takes is
//! done in a transaction that is rolled back (P15). On PostgreSQL nobody may hold a row of control state then, for any of them
//! is what the next stop may have to change.
//!
//! INVARIANT: a rehearsal leaves nothing behind, and says that nothing can be stopped only if an ordinary event could be
//! written at the same time. A log that takes neither admits nothing by itself.

use std::sync::Arc;
use std::time::Duration;

use super::draft::{Draft, NewEvent};
use super::sql::SqlError;
use super::store::{Batch, Found, Head, StateRow, Store, StoreError, Want};
use super::time::BatchTime;
use crate::core::event::EventKind;
use crate::core::id::{EventId, NodeId, Position, SwitchId};
use crate::core::state::ControlState;
use crate::core::switch::{Running, Target};
use crate::core::time::{Entropy, Micros};

/// How long a rehearsal may take: others write the log meanwhile, and stop.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The row that is written to see whether rows can be written.
pub const PROBE: &str = "probe:ready";

/// As much as a call writes, in bytes.
pub const PROBED: usize = 32 * 1024;

/// What a rehearsal found.
#[derive(Debug)]
pub enum Rehearsed {
    /// A switch could be engaged and released.
    CanStop,
    /// It could not, and a call could be recorded: this is why.
    CannotStop(StoreError),
    /// The log cannot be written at all, or not soon: nothing is made, and nothing has to be stopped.
    Unwritable(StoreError),
}

/// Rehearses a stop on the log as it stands.
pub async fn rehearse(store: &dyn Store, known: &Arc<ControlState>, now: Micros, entropy: &dyn Entropy) -> Rehearsed {
    let event = |kind| NewEvent::plain(EventId::new(now, entropy), kind);
    let switch = SwitchId::new(now, entropy);
    let engaged = EventKind::SwitchEngaged {
        switch: switch.clone(),
        target: Target::All,
        by: None,
        credential: None,
        running: Running::LetFinish,
        expires_at: None,
    };
    let released = EventKind::SwitchReleased { switch, by: None, second: None, break_glass: false };
    // Of the keys one stands for all.
    let alive = known.credentials.values().find(|key| key.revoked_at.is_none());
    let revoked = alive.map(|key| EventKind::CredentialRevoked { credential: key.created.credential.clone(), by: None });
    let stop: Vec<NewEvent> = [engaged, released].into_iter().chain(revoked).map(event).collect();
    let Err(first) = attempt(store, known, &stop).await else { return Rehearsed::CanStop };
    let plain = [event(EventKind::NodeStopped { node: NodeId::new(now, entropy) })];
    if attempt(store, known, &plain).await.is_err() {
        return Rehearsed::Unwritable(first);
    }
    // It may be the log's state that has changed in between.
    match attempt(store, known, &stop).await {
        Ok(()) => Rehearsed::CanStop,
        Err(error) => Rehearsed::CannotStop(error),
    }
}

/// Writes as much as a call does, for good: a full disk shows in nothing that is rolled back. It is the row that nodes write
/// for the same reason.
pub async fn probe(store: &dyn Store) -> Result<(), StoreError> {
    let doc = format!("\"{}\"", "0".repeat(PROBED)).into_bytes();
    let mut put = |head: &Head, _: Found| {
        let row = StateRow { name: PROBE.into(), control: false, position: head.position, doc: doc.clone() };
        Ok(Batch { puts: vec![row], epoch: head.epoch, ..Batch::default() })
    };
    let probed = tokio::time::timeout(TIMEOUT, store.transact(&Want::default(), &mut put)).await;
    probed.unwrap_or(Err(StoreError::Sql(SqlError::TooLong(TIMEOUT)))).map(|_| ())
}

async fn attempt(store: &dyn Store, known: &Arc<ControlState>, events: &[NewEvent]) -> Result<(), StoreError> {
    let want = Want { known_epoch: known.epoch, known_position: known.position, ..Want::default() };
    let mut write = |head: &Head, found: Found| {
        let mut draft = Draft::new(*head, found, known, |_, _| BatchTime::of(head.at))?;
        // What would panic would fail the stop as well.
        draft.attempt(&mut |draft: &mut Draft| {
            events.iter().try_for_each(|event| draft.append(Position(0), event.clone()).map(|_| ()))
        })?;
        Ok(draft.finish().0)
    };
    let rehearsed = tokio::time::timeout(TIMEOUT, store.rehearse(&want, &mut write)).await;
    rehearsed.unwrap_or(Err(StoreError::Sql(SqlError::TooLong(TIMEOUT))))
}
