//! Sessions of the versions before 2026-07-28: whose each is, how many there may be, and which gives way.
//!
//! INVARIANT: a session id is told to nobody before its owner is on record, so there is no moment at which another key
//! could use it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

use crate::core::code::Code;
use crate::core::id::CredentialId;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::time::Clock;
use crate::http::SessionCaps;
use crate::http::problem::Problem;

/// The header that carries a session's id.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// Who began a session, and when it was last used.
#[derive(Clone)]
struct Owner {
    credential: CredentialId,
    read_only: bool,
    seen: Duration,
}

#[derive(Default)]
struct Known {
    sessions: HashMap<HeaderValue, Owner>,
    opening: Vec<CredentialId>,
}

impl Known {
    fn count_of(&self, credential: &CredentialId) -> usize {
        let open = self.sessions.values().filter(|owner| owner.credential == *credential).count();
        open + self.opening.iter().filter(|opening| *opening == credential).count()
    }
}

/// The sessions of this node.
pub struct Sessions {
    manager: Arc<LocalSessionManager>,
    clock: Arc<dyn Clock>,
    caps: SessionCaps,
    known: Mutex<Known>,
}

/// Room for one session that is being begun.
pub struct Opening<'a> {
    sessions: &'a Sessions,
    owner: Owner,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut known = self.sessions.lock();
        if let Some(at) = known.opening.iter().position(|opening| *opening == self.owner.credential) {
            known.opening.swap_remove(at);
        }
    }
}

impl Opening<'_> {
    /// The session has begun.
    pub fn keep(self, id: &HeaderValue) {
        self.sessions.lock().sessions.insert(id.clone(), self.owner.clone());
    }
}

impl Sessions {
    /// Keeps the books of `manager`.
    pub fn new(manager: Arc<LocalSessionManager>, clock: Arc<dyn Clock>, caps: SessionCaps) -> Self {
        Self { manager, clock, caps, known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a request without a session, or with one of its own key and endpoint. Another's looks like none.
    pub fn check(&self, headers: &HeaderMap, who: &Principal) -> Result<(), Problem> {
        let mut ids = headers.get_all(&SESSION_ID).iter();
        let Some(id) = ids.next() else { return Ok(()) };
        let now = self.clock.elapsed();
        let mut known = self.lock();
        let owner = known.sessions.get_mut(id).filter(|_| ids.next().is_none());
        match owner.filter(|owner| owner.credential == who.credential && owner.read_only == who.read_only) {
            Some(owner) => {
                owner.seen = now;
                Ok(())
            }
            None => Err(Refusal::new(Code::NotFound, "There is no such session.").hint("Begin a new one.").into()),
        }
    }

    /// Makes room for one more session of this key, at the cost of one that is idle.
    pub async fn open(&self, who: &Principal) -> Result<Opening<'_>, Problem> {
        self.forget_ended().await;
        let giving_way = {
            let mut known = self.lock();
            let giving_way = self.giving_way(&known, &who.credential)?;
            if let Some(id) = &giving_way {
                known.sessions.remove(id);
            }
            known.opening.push(who.credential.clone());
            giving_way
        };
        let owner = Owner { credential: who.credential.clone(), read_only: who.read_only, seen: self.clock.elapsed() };
        let opening = Opening { sessions: self, owner };
        if let Some(id) = giving_way.as_ref().and_then(|id| id.to_str().ok()) {
            // It has ended already, or ends now.
            let _ = self.manager.close_session(&id.into()).await;
        }
        Ok(opening)
    }

    /// The session that has to end for another one of `credential`, if the caps are reached.
    fn giving_way(&self, known: &Known, credential: &CredentialId) -> Result<Option<HeaderValue>, Problem> {
        let of_key = known.count_of(credential) >= self.caps.per_credential;
        let of_all = known.sessions.len() + known.opening.len() >= self.caps.total;
        if !of_key && !of_all {
            return Ok(None);
        }
        let now = self.clock.elapsed();
        let idle = known
            .sessions
            .iter()
            .filter(|(_, owner)| !of_key || owner.credential == *credential)
            .filter(|(_, owner)| now.saturating_sub(owner.seen) >= self.caps.idle)
            .min_by_key(|(_, owner)| owner.seen);
        match idle {
            Some((id, _)) => Ok(Some(id.clone())),
            None if of_key => Err(Refusal::new(Code::RateLimited, "This key has too many MCP sessions.")
                .hint("End one with DELETE, or let one idle.")
                .retry_after(self.caps.idle)
                .into()),
            None => Err(Refusal::new(Code::Overloaded, "There are too many MCP sessions.").retry_after(self.caps.idle).into()),
        }
    }

    async fn forget_ended(&self) {
        let live = self.manager.sessions.read().await;
        self.lock().sessions.retain(|id, _| id.to_str().is_ok_and(|id| live.contains_key(id)));
    }

    /// The session has ended.
    pub fn forget(&self, id: &HeaderValue) {
        self.lock().sessions.remove(id);
    }
}
