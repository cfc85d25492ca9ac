//! The callers that wait on this node for a held call.
//!
//! INVARIANT: nobody is waited for longer than they wait: who leaves is taken out, also with a task that is dropped.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::endings::Finished;
use crate::core::id::CallId;

/// The callers that wait on this node for a held call: if it runs here, they get the result itself.
#[derive(Default)]
pub struct Waiting(Mutex<HashMap<CallId, oneshot::Sender<Finished>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, oneshot::Sender<Finished>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait(&self, call: &CallId) -> oneshot::Receiver<Finished> {
        let (done, finished) = oneshot::channel();
        self.lock().insert(call.clone(), done);
        finished
    }

    /// Whoever waits for this call, for the one who runs it to tell.
    pub fn take(&self, call: &CallId) -> Option<oneshot::Sender<Finished>> {
        self.lock().remove(call)
    }

    /// Stops waiting when it is dropped, also with its caller.
    pub(super) fn leave(&self, call: &CallId) -> impl Drop {
        WaiterGuard { waiting: self, call: call.clone() }
    }

    pub(super) fn has(&self, call: &CallId) -> bool {
        self.lock().contains_key(call)
    }
}

struct WaiterGuard<'a> {
    waiting: &'a Waiting,
    call: CallId,
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        self.waiting.take(&self.call);
    }
}
