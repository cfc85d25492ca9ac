//! Sessions that nobody uses for a while sleep: what they were begun with is kept, and nothing runs for them. rmcp begins one
//! again when a request comes with its id, before that is answered.
//!
//! ```text
//! Awake ──▶ unused for QUIET ──▶ Falling: rmcp ends its tasks ──▶ Asleep ──▶ a request ──▶ Awake
//!   └────────────────── ended, or unused for keep_alive: forgotten ◀─┘
//! ```
//!
//! INVARIANT: one that is in use, until its last answer is sent, is not laid down; and none is begun again before all that ran for
//! it has ended, so the end of the one is never taken for the end of the other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::HeaderValue;
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::store::{SessionState, SessionStore, SessionStoreError};

use super::sessions::{Owner, Rest, Sessions};

/// How long a session is unused before it sleeps: its client has gone on to something else. To begin it again takes less than
/// a call.
const QUIET: Duration = Duration::from_secs(10);

impl Sessions {
    /// Lays down what is unused, and forgets what has slept too long.
    pub(super) async fn lay_down(&self) {
        let now = self.clock.elapsed();
        let unused: Vec<HeaderValue> = {
            let mut known = self.lock();
            known.sessions.retain(|_, owner| owner.rest != Rest::Asleep || now.saturating_sub(owner.seen) < self.caps.keep_alive);
            let is_quiet = |owner: &Owner| owner.uses == 0 && now.saturating_sub(owner.left) >= QUIET;
            let unused = known.sessions.iter_mut().filter(|(_, owner)| owner.rest == Rest::Awake && is_quiet(owner));
            unused
                .filter(|(_, owner)| owner.begun_with.is_some())
                .map(|(id, owner)| {
                    owner.rest = Rest::Falling;
                    id.clone()
                })
                .collect()
        };
        for id in unused.iter().filter_map(|id| id.to_str().ok()) {
            // It has ended already, or ends now; its task says so in either case.
            let _ = self.manager.close_session(&id.into()).await;
        }
    }

    /// How many sessions there are, and how many of them sleep.
    pub(super) fn count(&self) -> (usize, usize) {
        let known = self.lock();
        (known.sessions.len(), known.sessions.values().filter(|owner| owner.rest == Rest::Asleep).count())
    }

    /// All that ran for a session has ended: it sleeps, if it was laid down, and is forgotten if not.
    pub(super) fn ended(&self, id: &str) {
        let Ok(id) = HeaderValue::from_str(id) else { return };
        let mut known = self.lock();
        match known.sessions.get_mut(&id) {
            Some(owner) if owner.rest == Rest::Falling => owner.rest = Rest::Asleep,
            Some(_) => drop(known.sessions.remove(&id)),
            None => {}
        }
        drop(known);
        self.settled.notify_waiters();
    }
}

/// What rmcp asks when a request comes with the id of a session for which nothing runs.
pub(super) struct Sleeping(pub(super) Arc<Sessions>);

#[async_trait]
impl SessionStore for Sleeping {
    async fn load(&self, id: &str) -> Result<Option<SessionState>, SessionStoreError> {
        let id = HeaderValue::from_str(id)?;
        let mut known = self.0.lock();
        let Some(owner) = known.sessions.get_mut(&id).filter(|owner| owner.rest == Rest::Asleep) else { return Ok(None) };
        let state = owner.begun_with.as_deref().cloned().map(SessionState::new);
        owner.rest = Rest::Awake;
        Ok(state)
    }

    async fn store(&self, _: &str, _: &SessionState) -> Result<(), SessionStoreError> {
        // Whose a session is comes with its first answer; it is kept then.
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), SessionStoreError> {
        self.0.ended(id);
        Ok(())
    }
}
