//! What this node has seen of the log: shared by the appender, which locks the head, and by readers, which lock nothing.
//!
//! INVARIANT: a log that ends before what this node has seen of it is not gone on with, whoever finds it so: a backup was
//! restored, or another server answers, and to go on there would be to forget what was recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::draft::Draft;
use super::fence::Fence;
use super::stats::Stats;
use super::store::{Found, Head, Store, StoreError, Want};
use super::time::{BatchTime, LogTime, TimeSources};
use crate::core::clock::Accepted;
use crate::core::id::Position;
use crate::core::state::ControlState;
use crate::core::time::{Clock, Micros};

/// What one node knows of one log.
pub(super) struct Seen {
    pub(super) store: Arc<dyn Store>,
    pub(super) fence: Arc<Fence>,
    pub(super) stats: Arc<Stats>,
    pub(super) time: LogTime,
    /// The newest position that this node has seen.
    newest: AtomicI64,
}

/// One look at the log, before it is taken.
pub(super) struct Look {
    pub(super) want: Want,
    known: Arc<ControlState>,
    /// When the rows of the other nodes were asked for, if they are.
    asked: Option<Duration>,
    /// What this node had seen by then. What it sees meanwhile says nothing of this look, which may be of a moment before.
    newest: Position,
}

impl Seen {
    pub(super) fn new(store: Arc<dyn Store>, fence: Arc<Fence>, clock: Arc<dyn Clock>, stats: Arc<Stats>) -> Self {
        Self { store, fence, stats, time: LogTime::start(clock), newest: AtomicI64::new(0) }
    }

    /// A look that finds what is wanted, and what has changed of control state since `known`.
    pub(super) fn look(&self, known: &Arc<ControlState>, mut want: Want) -> Look {
        let asked = self.time.asks_others().then(|| self.time.elapsed());
        if asked.is_some() {
            want.kinds.push("node");
        }
        want.tidy();
        want.known_position = if known.position == Position(0) { Want::NOTHING_KNOWN } else { known.position };
        want.known_epoch = known.epoch;
        Look { want, known: Arc::clone(known), asked, newest: Position(self.newest.load(Ordering::SeqCst)) }
    }

    /// What a look found, as a batch that nothing is in yet.
    pub(super) fn draft(&self, look: &Look, head: &Head, found: Found) -> Result<Draft, StoreError> {
        if head.position < look.newest {
            let text = format!("it ends at {} and this node has seen {}", head.position.0, look.newest.0);
            return Err(StoreError::Unreadable(text));
        }
        self.stats.pushed.store(found.stored != (head.position, head.at) || head.epoch.is_spent(), Ordering::Relaxed);
        let read = |found: &Found, accepted: Option<Accepted>| {
            let others = look.asked.and_then(|asked| self.fence.peers().others(asked, &found.rows).ok());
            let database = self.time.beside(found.clock);
            let time = self.time.read(&TimeSources { head: head.at, database, others: others.as_deref(), accepted });
            self.tell(&time, database);
            time
        };
        Draft::new(*head, found, &look.known, read)
    }

    /// Takes over what the log has by now.
    pub(super) fn take(&self, position: Position, state: &Arc<ControlState>) {
        self.newest.fetch_max(position.0, Ordering::SeqCst);
        self.fence.publish(state);
    }

    fn tell(&self, &BatchTime { at, skewed, .. }: &BatchTime, database: Option<Micros>) {
        let before = self.stats.skewed.swap(skewed, Ordering::Relaxed);
        if skewed && !before {
            let database = database.map(Micros::rfc3339);
            tracing::warn!(log = %at.rfc3339(), database, "this machine's clock does not agree with the log's time and the others: calls are refused");
        } else if before && !skewed {
            tracing::info!("this machine's clock agrees with the log's time again");
        }
    }
}
