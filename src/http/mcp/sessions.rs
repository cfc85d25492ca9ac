//! Sessions of the versions before 2026-07-28: whose each is, how many there may be, which gives way, and when they end.
//!
//! INVARIANT: a session id is told to nobody before its owner is on record, so there is no moment at which another key
//! could use it. A session ends with its key, by which it was begun: then it takes no place any more, and nothing is kept of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

use crate::core::code::Code;
use crate::core::id::{AccountId, CredentialId};
use crate::core::lineage::alive;
use crate::core::principal::Principal;
use crate::core::quota::{Quota, QuotaKind, QuotaUsage};
use crate::core::refusal::Refusal;
use crate::core::time::Clock;
use crate::http::SessionCaps;
use crate::http::problem::Problem;
use crate::log::fence::Fence;

/// How often it is looked whether keys have ended, and so how long who waits has to take the answer that says so.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The header that carries a session's id.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// Who began a session, and when it was last used.
#[derive(Clone)]
struct Owner {
    account: AccountId,
    credential: CredentialId,
    read_only: bool,
    seen: Duration,
}

impl Owner {
    fn of(who: &Principal, seen: Duration) -> Self {
        let (account, credential) = (who.account.clone(), who.credential.clone());
        Self { account, credential, read_only: who.read_only, seen }
    }
}

#[derive(Default)]
struct Known {
    sessions: HashMap<HeaderValue, Owner>,
    opening: Vec<Owner>,
    /// Struck off because their keys have ended; they are closed a moment later.
    over: Vec<HeaderValue>,
}

impl Known {
    fn used(&self, by: &Owner) -> QuotaUsage {
        let all = self.sessions.values().chain(&self.opening);
        QuotaUsage::of(all.filter(|owner| owner.account == by.account).map(|owner| owner.credential == by.credential))
    }
}

/// The sessions of this node.
pub struct Sessions {
    manager: Arc<LocalSessionManager>,
    clock: Arc<dyn Clock>,
    fence: Arc<Fence>,
    caps: SessionCaps,
    known: Mutex<Known>,
    followed: AtomicBool,
}

/// Room for one session that is being begun.
pub struct Opening<'a> {
    sessions: &'a Sessions,
    owner: Owner,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut known = self.sessions.lock();
        if let Some(at) = known.opening.iter().position(|opening| opening.credential == self.owner.credential) {
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
    pub fn new(manager: Arc<LocalSessionManager>, clock: Arc<dyn Clock>, fence: Arc<Fence>, caps: SessionCaps) -> Arc<Self> {
        Arc::new(Self { manager, clock, fence, caps, known: Mutex::default(), followed: AtomicBool::new(false) })
    }

    /// Ends the sessions of keys that have ended, from the first session on and as long as somebody else has the books.
    fn follow(self: &Arc<Self>) {
        if self.followed.swap(true, Ordering::SeqCst) {
            return;
        }
        let sessions = Arc::downgrade(self);
        tokio::spawn(async move {
            // Whoever still waits in one is told why, before it is closed.
            let mut told: Vec<HeaderValue> = Vec::new();
            loop {
                tokio::time::sleep(POLL_INTERVAL).await;
                let Some(sessions) = Weak::upgrade(&sessions) else { return };
                for id in told.iter().filter_map(|id| id.to_str().ok()) {
                    // It has ended already, or ends now.
                    let _ = sessions.manager.close_session(&id.into()).await;
                }
                sessions.strike_dead();
                told = std::mem::take(&mut sessions.lock().over);
            }
        });
    }

    /// Strikes the sessions of keys that have ended off the books.
    fn strike_dead(&self) {
        let (state, now) = (self.fence.state(), self.clock.now());
        let mut known = self.lock();
        let dead = known.sessions.extract_if(|_, owner| alive(&state, &owner.credential, now).is_err());
        let dead: Vec<HeaderValue> = dead.map(|(id, _)| id).collect();
        known.over.extend(dead);
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
    pub async fn open(self: &Arc<Self>, who: &Principal) -> Result<Opening<'_>, Problem> {
        self.follow();
        self.strike_dead();
        self.forget_ended().await;
        let owner = Owner::of(who, self.clock.elapsed());
        let giving_way = {
            let mut known = self.lock();
            let giving_way = self.giving_way(&known, &owner)?;
            if let Some(id) = &giving_way {
                known.sessions.remove(id);
            }
            known.opening.push(owner.clone());
            giving_way
        };
        let opening = Opening { sessions: self, owner };
        if let Some(id) = giving_way.as_ref().and_then(|id| id.to_str().ok()) {
            // It has ended already, or ends now.
            let _ = self.manager.close_session(&id.into()).await;
        }
        Ok(opening)
    }

    /// How many an account may have: what its quota says, and never so many that it takes every place.
    fn quota(&self) -> Quota {
        let quota = self.fence.state().quotas().sessions;
        Quota { account: quota.account.min(self.caps.per_account), key: quota.key }
    }

    /// The session that has to end for another one of `by`, if the caps are reached: one of its own account, whichever cap it
    /// is. That there is no place left is nobody else's loss.
    fn giving_way(&self, known: &Known, by: &Owner) -> Result<Option<HeaderValue>, Problem> {
        let quota = self.quota();
        let (used, now) = (known.used(by), self.clock.elapsed());
        let full = QuotaKind::Sessions.check(quota, used).err();
        let of_key = used.key >= quota.key;
        if full.is_none() && known.sessions.len() + known.opening.len() < self.caps.total {
            return Ok(None);
        }
        let idle = known
            .sessions
            .iter()
            .filter(|(_, owner)| !of_key || owner.credential == by.credential)
            .filter(|(_, owner)| owner.account == by.account)
            .filter(|(_, owner)| now.saturating_sub(owner.seen) >= self.caps.idle)
            .min_by_key(|(_, owner)| owner.seen);
        match (idle, full) {
            (Some((id, _)), _) => Ok(Some(id.clone())),
            (None, Some(full)) => Err(full.retry_after(self.caps.idle).into()),
            (None, None) => {
                Err(Refusal::new(Code::Overloaded, "There are too many MCP sessions.").retry_after(self.caps.idle).into())
            }
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
