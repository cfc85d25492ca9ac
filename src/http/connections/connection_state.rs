//! What a connection is doing, so that its timer is the right one. A change of state is a turn; a timer that runs out within one
//! turn ends the connection.
//!
//! INVARIANT: bytes alone never prolong a turn. Only a complete request, or an answer that the client takes, does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its first request is not complete, or not even its TLS handshake.
    #[default]
    Opening,
    /// Nothing is under way.
    Idle,
    /// The next request has begun.
    Asking,
    /// A request is under way.
    Busy,
}

/// The state of one connection, shared by its socket and its requests.
#[derive(Debug, Default)]
pub(in crate::http) struct ConnectionState(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    turn: u64,
    under_way: usize,
    /// HTTP/2: pings come without a request.
    multiplexed: bool,
    /// Counts what was handed over to be sent.
    handed: u64,
    /// Which of it the client has not taken.
    unsent: BTreeSet<u64>,
    /// Since when the socket takes nothing.
    blocked: Option<u64>,
    /// How much had been handed over when the timer last ran out.
    mark: u64,
    /// A request's body was left unread.
    unread: bool,
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.turn += 1;
    }

    fn hand(&mut self) -> u64 {
        self.handed += 1;
        self.handed
    }
}

impl ConnectionState {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the turn, and what it is. What the socket does not take keeps the connection busy, whatever was answered.
    pub(super) fn turn(&self) -> (u64, Phase) {
        let state = self.lock();
        (state.turn, if state.blocked.is_some() { Phase::Busy } else { state.phase })
    }

    /// Something was received.
    pub(super) fn heard(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Idle && !state.multiplexed {
            state.enter(Phase::Asking);
        }
    }

    /// The socket takes nothing.
    pub(super) fn block(&self) {
        let mut state = self.lock();
        if state.blocked.is_none() {
            state.blocked = Some(state.hand());
            state.turn += u64::from(state.phase != Phase::Busy);
        }
    }

    /// The socket has taken something.
    pub(super) fn unblock(&self) {
        let mut state = self.lock();
        if state.blocked.take().is_some() {
            state.turn += u64::from(state.phase != Phase::Busy);
        }
    }

    /// Whether something waits to be taken since before the timer last ran out.
    pub(super) fn is_stalled(&self) -> bool {
        let mut state = self.lock();
        let oldest = state.unsent.first().copied().into_iter().chain(state.blocked).min();
        let mark = state.mark;
        state.mark = state.handed;
        oldest.is_some_and(|oldest| oldest <= mark)
    }

    /// A request's body is left unread, so its client may still be sending when the connection ends.
    pub(super) fn leave_unread(&self) {
        self.lock().unread = true;
    }

    /// Whether the client may still be sending.
    pub(super) fn is_unread(&self) -> bool {
        self.lock().unread
    }

    /// A request is complete.
    pub(super) fn begin(self: &Arc<Self>, multiplexed: bool) -> UnderWay {
        let mut state = self.lock();
        state.multiplexed |= multiplexed;
        state.under_way += 1;
        if state.under_way == 1 {
            state.enter(Phase::Busy);
        }
        drop(state);
        UnderWay { pace: Arc::clone(self), unsent: None }
    }
}

/// A request that is under way until its answer has been handed over.
#[derive(Debug)]
pub(super) struct UnderWay {
    pace: Arc<ConnectionState>,
    unsent: Option<u64>,
}

impl UnderWay {
    /// A part of the answer waits to be sent.
    pub(super) fn hand_over(&mut self) {
        let mut state = self.pace.lock();
        let number = state.hand();
        state.unsent.insert(number);
        self.unsent = Some(number);
    }

    /// The last part was taken.
    pub(super) fn taken(&mut self) {
        if let Some(number) = self.unsent.take() {
            self.pace.lock().unsent.remove(&number);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.taken();
        let mut state = self.pace.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if state.under_way == 0 {
            state.enter(Phase::Idle);
        }
    }
}
