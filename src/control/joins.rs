//! The calls on this node that end as another one does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::endings::Finished;
use crate::core::id::CallId;

/// A call that ends as another one does.
pub(super) struct Joined {
    pub(super) call: CallId,
    pub(super) tool: String,
    pub(super) done: Option<oneshot::Sender<Finished>>,
}

/// The calls on this node that end as another one does, by that one: a single task waits for each, however many joined it.
#[derive(Default)]
pub struct Joins(Mutex<HashMap<CallId, Vec<Joined>>>);

impl Joins {
    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, Vec<Joined>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call; answers whether it is the first one, so that somebody has to wait.
    pub(super) fn add(&self, first: &CallId, joined: Joined) -> bool {
        let mut all = self.lock();
        let waiting = all.entry(first.clone()).or_default();
        waiting.push(joined);
        waiting.len() == 1
    }

    pub(super) fn take(&self, first: &CallId) -> Vec<Joined> {
        self.lock().remove(first).unwrap_or_default()
    }

    /// How many calls are waited for.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.lock().len()
    }
}
