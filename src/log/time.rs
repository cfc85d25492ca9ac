//! The log's time on this node: the wall clock, as long as something else agrees with it.
//!
//! ```text
//! first batch ─▶ near the log's time, and not outvoted        ─▶ settled: the clock is followed
//!             ├▶ ahead of it, and another voice says the same ─▶ settled
//!             └▶ ahead and alone, behind, or outvoted         ─▶ the log's time is followed, calls are refused
//! later: a clock that jumps against the time that passes, or that the others outvote, is not followed until it agrees again
//! ```
//!
//! The voices are the database's clock, or where it has none the time that has passed on this machine since a node's last
//! beat; and the clock of each node that beats and is sure of it.
//!
//! A clock that another voice vouches for is right, and the log's time a little ahead of it: two tolerances never add up to an outage.
//!
//! INVARIANT: no process moves the log's time further than what has passed, plus [`SKEW`], on the word of its own clock (P15), however
//! many of them follow each other: each is held against what nodes on its machine have read, not against what the log took from the
//! last of them; but for a gap that is no longer than [`OFF`] or [`RESTARTED`], where there is nobody else to ask. What stops something is
//! recorded all the same, at the log's time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::peers::Peer;
use crate::core::clock::Accepted;
use crate::core::time::{Clock, Micros};

/// How far a node's clock may be from where the log's time should be.
pub const SKEW: Duration = Duration::from_secs(5);

/// How far the log's time may be beyond the database's clock; what is further the database refuses.
pub const BEYOND: Duration = Duration::from_mins(1);

/// A log that was left alone for this long goes on without a sign, although nothing but this machine's clock says how late it is.
pub const OFF: Duration = Duration::from_hours(24);

/// The same where the machine was off meanwhile, as over a weekend or a week of holidays.
pub const RESTARTED: Duration = Duration::from_hours(7 * 24);

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
    /// The database's clock says another time, so the other nodes have to be asked.
    doubted: bool,
    /// Staff said that the clock is right, and the others have not yet come round.
    accepted: bool,
}

/// What a batch knows of the time besides this machine's clock.
pub(super) struct TimeSources<'a> {
    /// The newest event's time.
    pub(super) head: Micros,
    /// The database's clock.
    pub(super) database: Option<Micros>,
    /// How the other nodes stand; none if nobody asked, or it cannot be read.
    pub(super) others: Option<&'a [Peer]>,
    /// The clock that staff accepted last.
    pub(super) accepted: Option<Accepted>,
}

/// What time a batch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchTime {
    /// The log's time.
    pub(super) at: Micros,
    /// This machine's clock cannot be trusted.
    pub(super) skewed: bool,
    /// The latest that it may be, if the log's time may be old.
    pub(super) latest: Micros,
    /// The latest that the database takes.
    pub(super) most: Micros,
}

impl BatchTime {
    /// A time that nobody asked a clock for.
    pub(super) fn of(at: Micros) -> Self {
        Self { at, skewed: false, latest: at, most: Micros::LAST }
    }
}

/// This machine's clock.
struct Own {
    now: Micros,
    up: Duration,
    boot: Option<Arc<str>>,
}

/// Voices besides this machine's clock that say the same, and that say something else.
#[derive(Default)]
struct Votes {
    agree: usize,
    against: usize,
}

impl Votes {
    fn count(&mut self, said: Micros, now: Micros, slack: Duration) {
        *(if apart(said, now) <= slack { &mut self.agree } else { &mut self.against }) += 1;
    }

    fn is_outvoted(&self) -> bool {
        self.against > self.agree
    }
}

impl LogTime {
    pub(super) fn start(clock: Arc<dyn Clock>) -> Self {
        let since = own(&*clock, 0).up;
        Self { clock, known: Mutex::new(Known { at: Micros(0), since, settled: false, doubted: false, accepted: false }) }
    }

    /// Whether the other nodes have to be asked.
    pub(super) fn asks_others(&self) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        !known.settled || known.doubted
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// The database's clock, if it can be held against this machine's.
    pub(super) fn beside(&self, database: Option<Micros>) -> Option<Micros> {
        database.filter(|_| self.clock.is_real())
    }

    /// The time for a batch.
    pub(super) fn read(&self, voices: &TimeSources<'_>) -> BatchTime {
        let own = own(&*self.clock, voices.ahead());
        let database = voices.database();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = known.at.plus(own.up.saturating_sub(known.since));
        let (newest, witness) = (voices.newest(own.now), voices.since_a_beat(&own));
        let newest = newest.max(witness.unwrap_or_default());
        if newest > passed {
            (known.at, known.since) = (newest, own.up);
        }
        let another = voices.another(&own);
        let votes = voices.votes(own.now, another.or(witness));
        let vouched = another.is_some_and(|said| apart(said, own.now) <= SKEW) && !votes.is_outvoted();
        // What another fast clock has moved is no fault of one that is right.
        let late = if vouched { SKEW * 2 } else { SKEW };
        known.doubted = database.is_some_and(|said| apart(said, own.now) > SKEW);
        let accepted =
            voices.accepted.is_some_and(|accepted| accepted.vouches(newest)) && apart(own.now, newest) <= voices.near();
        known.accepted = accepted || (known.accepted && votes.is_outvoted());
        if accepted || (!known.settled && voices.settle(&own, (newest, late), &votes)) {
            (known.at, known.since, known.settled) = (own.now.max(newest), own.up, true);
        }
        let expected = match database {
            // Of an empty log nothing says how late it is but the two clocks that do not agree.
            Some(said) if known.at == Micros(0) => said,
            _ => known.at.plus(own.up.saturating_sub(known.since)),
        };
        let is_off = own.now.since(expected) > SKEW || expected.since(own.now) > late;
        let skewed = is_off || !known.settled || (votes.is_outvoted() && !known.accepted);
        if vouched && !skewed && own.now < expected {
            // What pushed the log's time ahead is over with what it has written.
            (known.at, known.since) = (own.now.max(newest), own.up);
        }
        let at = if skewed { expected } else { own.now };
        // The database refuses what is further ahead of its clock.
        let most = database.map_or(Micros::LAST, |said| said.plus(BEYOND).max(voices.head));
        let is_known = !skewed || witness.is_some() || voices.living().any(|peer| peer.moved);
        let latest = if is_known { at } else { at.max(own.now) };
        BatchTime { at: at.min(most), skewed: skewed || at > most, latest, most }
    }
}

fn own(clock: &dyn Clock, ahead: i64) -> Own {
    let (now, boot) = (clock.now().shifted(ahead), clock.boot());
    let up = boot.as_ref().map_or_else(|| clock.elapsed(), |boot| boot.up);
    Own { now, up, boot: boot.map(|boot| boot.id) }
}

fn apart(one: Micros, other: Micros) -> Duration {
    one.since(other).max(other.since(one))
}

impl TimeSources<'_> {
    fn ahead(&self) -> i64 {
        self.accepted.map_or(0, |accepted| accepted.ahead)
    }

    /// What the database's clock says, as a time of the log.
    fn database(&self) -> Option<Micros> {
        self.database.map(|said| said.shifted(self.ahead()))
    }

    /// How far a clock may be from the newest time that is known while others beat.
    fn near(&self) -> Duration {
        SKEW + self.living().map(|peer| Duration::from_millis(peer.node.lease_ms) / 3).max().unwrap_or_default()
    }

    fn rows(&self) -> impl Iterator<Item = &Peer> {
        self.others.unwrap_or_default().iter()
    }

    /// The nodes that may run, and know what time it is.
    fn living(&self) -> impl Iterator<Item = &Peer> {
        self.rows().filter(|peer| !peer.dead && !peer.node.unsure)
    }

    /// The newest time that the log has, of events and of beats. No beat is of a time that is yet to come.
    fn newest(&self, now: Micros) -> Micros {
        let most = self.database().map_or_else(|| self.head.max(now).plus(RESTARTED), |said| said.plus(BEYOND));
        self.rows().map(|peer| peer.node.at).filter(|at| *at <= most).fold(self.head, Micros::max)
    }

    /// The log's time as this machine has it by the time that passed since a beat of a node on it, whatever its clock says.
    fn since_a_beat(&self, own: &Own) -> Option<Micros> {
        let boot = own.boot.as_deref()?;
        let here = self.rows().filter(|peer| peer.node.boot.as_deref() == Some(boot));
        let then = |peer: &Peer| Some(peer.node.at.plus(own.up.checked_sub(Duration::from_micros(peer.node.up_us))?));
        here.filter_map(then).max()
    }

    /// What another clock says that this one can be held against at once: the database's, or what nodes on this machine have read,
    /// with the time since then.
    fn another(&self, own: &Own) -> Option<Micros> {
        let boot = own.boot.as_deref();
        let is_here = |peer: &&Peer| peer.node.boot.is_some() && peer.node.boot.as_deref() == boot;
        let is_sure = |peer: &&Peer| !peer.node.unsure && peer.node.clock != Micros(0);
        let passed = |peer: &Peer| own.up.checked_sub(Duration::from_micros(peer.node.up_us));
        let read = |peer: &Peer| Some((passed(peer)?, peer.node.clock.shifted(self.ahead()).plus(passed(peer)?)));
        let here = self.rows().filter(is_here).filter(is_sure).filter_map(read).min_by_key(|(passed, _)| *passed);
        self.database().or(here.map(|(_, said)| said))
    }

    fn votes(&self, now: Micros, another: Option<Micros>) -> Votes {
        let mut votes = Votes::default();
        if let Some(said) = another {
            votes.count(said, now, SKEW);
        }
        for peer in self.living().filter(|peer| peer.moved && peer.node.clock != Micros(0)) {
            // How long before it was first seen a beat was written nobody knows.
            votes.count(
                peer.node.clock.shifted(self.ahead()).plus(peer.still),
                now,
                SKEW + Duration::from_millis(peer.node.lease_ms),
            );
        }
        votes
    }

    /// Whether a clock may be followed on a log whose newest time is `newest`, behind which it may be by `late`.
    fn settle(&self, own: &Own, (newest, late): (Micros, Duration), votes: &Votes) -> bool {
        let gap = own.now.since(newest);
        if newest.since(own.now) > late || votes.is_outvoted() {
            return false;
        }
        if newest == Micros(0) || gap <= self.near() {
            return true;
        }
        // One that has not been seen to beat may live all the same, and have the right time.
        if self.others.is_none() || self.living().any(|peer| !peer.moved || peer.node.clock == Micros(0)) {
            return false;
        }
        votes.agree > votes.against || (votes.agree == 0 && gap <= self.alone(own))
    }

    /// How long a log may have been left alone, if nothing else says how late it is.
    fn alone(&self, own: &Own) -> Duration {
        let last = self.rows().max_by_key(|peer| peer.node.at).and_then(|peer| peer.node.boot.as_ref());
        let is_restarted = own.boot.is_some() && last.is_some() && last.map(AsRef::as_ref) != own.boot.as_deref();
        if is_restarted { RESTARTED } else { OFF }
    }
}
