//! How those who wait for a call hear on this node that it has ended.

use tokio::sync::broadcast;

use super::Reply;
use crate::core::id::CallId;

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What the caller is answered.
    pub reply: Reply,
}

/// Tells of calls that ended on this node. Missing one is harmless: waiters look at the log as well.
pub struct Endings(broadcast::Sender<CallId>);

impl Default for Endings {
    fn default() -> Self {
        Self(broadcast::Sender::new(1024))
    }
}

impl Endings {
    /// Hears of the calls that end from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<CallId> {
        self.0.subscribe()
    }

    pub(super) fn notify(&self, call: &CallId) {
        // Nobody waits.
        let _ = self.0.send(call.clone());
    }
}
