//! The fence: the newest control state this node knows, and the sections that run under it.
//!
//! ```text
//! enter (switches checked) ──▶ section: the request is being sent ──▶ dropped
//! engage committed ──▶ publish(epoch n) ──▶ wait until every section entered before n is dropped ──▶ confirmed n
//! ```
//!
//! INVARIANT: cached state may only refuse early, never admit late: it refuses what a switch it knows covers at the time of
//! the log that the call was decided at, whatever this node's clock says, and a node whose lease ran out enters nothing (P3). Leave that was given under one lease is worth nothing under the next:
//! in between others may have believed the node dead, and ended or taken over what it had (P4).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::peers::Peers;
use crate::core::code::Code;
use crate::core::covering::Covered;
use crate::core::decide::stopped;
use crate::core::id::Epoch;
use crate::core::refusal::Refusal;
use crate::core::root::RootKey;
use crate::core::state::ControlState;
use crate::core::time::{Clock, Micros};

/// The fence of one node.
pub struct Fence {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    peers: Peers,
    left: Notify,
    state: watch::Sender<Arc<ControlState>>,
}

#[derive(Default)]
struct Inner {
    /// By [`Clock::elapsed`]; a lease is compared with time that never jumps.
    lease_until: Duration,
    lease: Lease,
    given_up: bool,
    sections: BTreeMap<Epoch, usize>,
    /// When each epoch was published; only those that a section may still be older than.
    published: BTreeMap<Epoch, Duration>,
}

impl Inner {
    fn note(&mut self, epoch: Epoch, now: Duration) {
        let oldest = self.sections.keys().next().copied().unwrap_or(epoch);
        self.published.retain(|published, _| *published > oldest);
        self.published.insert(epoch, now);
    }
}

/// Which unbroken lease of this node something began under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease(u64);

/// The lease and the log's time under which a call was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admissibility {
    /// The lease of this node that it was asked for under.
    pub lease: Lease,
    /// The time of the log that it was decided at.
    pub at: Micros,
}

/// A call between its fence check and the moment its request has been sent.
pub struct Section {
    fence: Arc<Fence>,
    epoch: Epoch,
}

impl Drop for Section {
    fn drop(&mut self) {
        let mut inner = self.fence.lock();
        if let Some(count) = inner.sections.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                inner.sections.remove(&self.epoch);
            }
        }
        drop(inner);
        self.fence.left.notify_waiters();
    }
}

impl Fence {
    /// A fence that knows nothing yet and lets nothing pass; `key` is what control state is held against the log with.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, key: RootKey) -> Arc<Self> {
        let peers = Peers::new(Arc::clone(&clock), key.clone());
        let state = watch::Sender::new(Arc::new(ControlState::under(key)));
        Arc::new(Self { clock, inner: Mutex::default(), peers, left: Notify::new(), state })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over newer control state. Called by the writer when a commit or a poll has shown it.
    pub fn publish(&self, state: &Arc<ControlState>) {
        // Under the lock, so that no section can be counted under an epoch that is older than what it was checked against.
        let mut inner = self.lock();
        self.state.send_if_modified(|known| {
            // One that was pushed out of reach does not move with changes, and comes back when it is repaired.
            let after = known.epoch.is_spent() && (state.epoch < known.epoch || state.position > known.position);
            let newer = state.epoch > known.epoch || after;
            if newer {
                inner.note(state.epoch, self.clock.elapsed());
                known.clone_from(state);
            }
            newer
        });
    }

    /// Renews this node's lease: it may enter sections for `lease` from `since`, a reading of [`Clock::elapsed`] taken
    /// before the renewal was written.
    pub fn renew(&self, since: Duration, lease: Duration) {
        let now = self.clock.elapsed();
        let mut inner = self.lock();
        if inner.given_up {
            return;
        }
        if now >= inner.lease_until {
            inner.lease = Lease(inner.lease.0 + 1);
        }
        // Beats may be answered in another order than they were written in.
        inner.lease_until = inner.lease_until.max(since + lease);
    }

    /// Gives the lease up for good: this node starts nothing any more.
    pub fn give_up(&self) {
        let mut inner = self.lock();
        inner.given_up = true;
        inner.lease_until = Duration::ZERO;
    }

    /// Whether nothing is under way that was let through. After [`Fence::give_up`] nothing will be.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lock().sections.is_empty()
    }

    /// The lease, to be noted before leave is asked for under it.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lock().lease
    }

    /// Whether the lease runs.
    #[must_use]
    pub fn holds_lease(&self) -> bool {
        self.clock.elapsed() < self.lock().lease_until
    }

    /// The other nodes, as this one sees them.
    #[must_use]
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// The newest control state this node knows.
    #[must_use]
    pub fn state(&self) -> Arc<ControlState> {
        Arc::clone(&self.state.borrow())
    }

    /// Told of every change of control state.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<ControlState>> {
        self.state.subscribe()
    }

    /// Enters a section, unless a switch covers the call, or the lease that leave was given under ran out.
    pub fn enter(self: &Arc<Self>, call: &Covered<'_>, leave: Admissibility) -> Result<Section, Refusal> {
        let mut inner = self.lock();
        if inner.lease != leave.lease || self.clock.elapsed() >= inner.lease_until {
            return Err(Refusal::new(Code::AuditUnavailable, "This node has lost its lease and starts nothing."));
        }
        // This node's clock may be fast. A switch that was engaged, or began to let go, after the decision covers by its time.
        if let Some(refusal) = self.stopped(call, leave.at) {
            return Err(refusal);
        }
        let state = self.state();
        *inner.sections.entry(state.epoch).or_insert(0) += 1;
        Ok(Section { fence: Arc::clone(self), epoch: state.epoch })
    }

    /// Why a call that was decided at `at` may not ask anything outside now, if a switch covers it: for what changes nothing there,
    /// which needs no section.
    #[must_use]
    pub fn stopped(&self, call: &Covered<'_>, at: Micros) -> Option<Refusal> {
        let state = self.state();
        let switch = state.covering(call, at).next()?;
        Some(stopped(switch, state.counted_as(call.credential), at))
    }

    /// Returns once every section that was entered before `epoch` has been left, and no such one can be entered.
    pub async fn drained(&self, epoch: Epoch) {
        let mut changes = self.changes();
        if changes.wait_for(|state| state.epoch >= epoch).await.is_err() {
            return;
        }
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if !self.lock().sections.keys().any(|entered| *entered < epoch || entered.is_spent()) {
                return;
            }
            left.await;
        }
    }

    /// How long the newest epoch has not been confirmed here: since the oldest section that is left became old.
    #[must_use]
    pub fn unconfirmed_for(&self) -> Duration {
        let inner = self.lock();
        let Some(oldest) = inner.sections.keys().next() else { return Duration::ZERO };
        let next = inner.published.range((Bound::Excluded(oldest), Bound::Unbounded)).next();
        next.map_or(Duration::ZERO, |(_, published)| self.clock.elapsed().saturating_sub(*published))
    }

    /// How long sections may still be entered under the lease.
    #[must_use]
    pub fn lease_left(&self) -> Duration {
        self.lock().lease_until.saturating_sub(self.clock.elapsed())
    }

    /// Whether nothing runs or can start here any more that was entered before `epoch`.
    #[must_use]
    pub fn has_drained(&self, epoch: Epoch) -> bool {
        self.confirmed() >= epoch
    }

    /// The newest epoch whose earlier sections have all been left.
    #[must_use]
    pub fn confirmed(&self) -> Epoch {
        let inner = self.lock();
        // Under an epoch out of reach nothing tells what was entered before a change.
        if self.state.borrow().epoch.is_spent() || inner.sections.keys().any(|entered| entered.is_spent()) {
            return Epoch(0);
        }
        inner.sections.keys().next().copied().unwrap_or_else(|| self.state.borrow().epoch)
    }
}
