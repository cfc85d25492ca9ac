//! The calls that this node has in hand, so that a job of this node which is not was never started.
//!
//! INVARIANT: whoever takes a call lets it go once. A queued call may be claimed before its submission has heard that it was
//! queued: each has it for itself.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::id::CallId;

/// The calls that this node has in hand: from before their intent is written until their end is, or until they turn
/// out not to be this node's to run. A job of this node that is not in hand was never started.
#[derive(Default)]
pub struct InFlight {
    /// How many have each.
    calls: Mutex<HashMap<CallId, usize>>,
    /// A commit of this node was reported lost, and may have been kept.
    doubted: AtomicBool,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, usize>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call in hand.
    pub fn take(&self, call: &CallId) {
        *self.lock().entry(call.clone()).or_default() += 1;
    }

    /// Lets it go.
    pub fn release(&self, call: &CallId) {
        let mut calls = self.lock();
        if let Some(holders) = calls.get_mut(call) {
            *holders -= 1;
            if *holders == 0 {
                calls.remove(call);
            }
        }
    }

    /// Lets it go although it may be in the log all the same.
    pub fn lose(&self, call: &CallId) {
        self.release(call);
        self.doubted.store(true, Ordering::SeqCst);
    }

    /// Whether a call was lost since this was last asked.
    #[must_use]
    pub fn take_doubt(&self) -> bool {
        self.doubted.swap(false, Ordering::SeqCst)
    }

    /// Whether it is in hand.
    #[must_use]
    pub fn holds(&self, call: &CallId) -> bool {
        self.lock().contains_key(call)
    }

    /// All that are.
    #[must_use]
    pub fn all(&self) -> HashSet<CallId> {
        self.lock().keys().cloned().collect()
    }
}
