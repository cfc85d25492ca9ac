//! The log's time on this node: the wall clock, as long as it agrees with the time that has passed and with the other nodes.
//!
//! ```text
//! first batch ─▶ the clock is near the log's time, or everybody else is dead ─▶ settled: the clock is followed
//!             └▶ ahead of nodes that beat, or behind the log                 ─▶ the log's time is followed, calls are refused
//! later: a clock that jumps against the time that passes is not followed until it agrees again
//! ```
//!
//! INVARIANT: no process moves the log's time further than what has passed, plus [`SKEW`], while another one lives (P15). What
//! stops something is recorded all the same, at the log's time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::peers::Peer;
use crate::core::time::{Clock, Micros};

/// How far a node's clock may be from where the log's time should be.
pub const SKEW: Duration = Duration::from_secs(5);

/// See the head of this file.
pub(super) struct LogTime {
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

/// Where the log's time was last known to be, and when that was.
struct Known {
    at: Micros,
    since: Duration,
    /// The clock was found to agree with the log and the others.
    settled: bool,
}

impl LogTime {
    pub(super) fn start(clock: Arc<dyn Clock>) -> Self {
        let since = clock.elapsed();
        Self { clock, known: Mutex::new(Known { at: Micros(0), since, settled: false }) }
    }

    /// Whether the clock was found right, so that nobody else need be looked at.
    pub(super) fn is_settled(&self) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).settled
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// The time for a batch on a log whose newest event is of `head`, and whether the clock cannot be trusted. `others` are
    /// needed until the clock is settled; none if nobody can say how they stand.
    pub(super) fn read(&self, head: Micros, others: Option<&[Peer]>) -> (Micros, bool) {
        let (now, elapsed) = (self.clock.now(), self.clock.elapsed());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = known.at.plus(elapsed.saturating_sub(known.since));
        let newest = others.unwrap_or_default().iter().map(|peer| peer.node.at).fold(head, Micros::max);
        if newest > passed {
            (known.at, known.since) = (newest, elapsed);
        }
        if !known.settled && agrees(now, newest, others) {
            *known = Known { at: now, since: elapsed, settled: true };
        }
        let expected = known.at.plus(elapsed.saturating_sub(known.since));
        let apart = now.since(expected).max(expected.since(now)) > SKEW;
        let skewed = apart || !known.settled;
        (if skewed { expected } else { now }, skewed)
    }
}

/// Whether a clock that says `now` fits a log whose newest time is `newest`. One that is ahead may belong to the only node
/// that lives, on a log that was left alone.
fn agrees(now: Micros, newest: Micros, others: Option<&[Peer]>) -> bool {
    let living = || others.unwrap_or_default().iter().filter(|peer| !peer.dead);
    let since_a_beat = living().map(|peer| Duration::from_millis(peer.node.lease_ms) / 3).max().unwrap_or_default();
    let near = now.since(newest) <= SKEW + since_a_beat;
    newest.since(now) <= SKEW && (near || newest == Micros(0) || (others.is_some() && living().next().is_none()))
}
