//! Sessions of the versions before 2026-07-28: whose each is, how many there may be, which gives way, and when they end.
//!
//! INVARIANT: a session id is told to nobody before its owner is on record, so there is no moment at which another key
//! could use it. A session ends with its key, by which it was begun: then it takes no place any more, and nothing is kept of it.
//! What happens to one that nobody uses for a while is in [`super::sleep`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rmcp::model::InitializeRequestParams;
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

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

/// What runs for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Its tasks.
    Awake,
    /// Tasks that are ending.
    Falling,
    /// Nothing.
    Asleep,
}

/// A request or a stream in a session; it leaves with this value.
pub struct SessionUse {
    sessions: Arc<Sessions>,
    id: HeaderValue,
}

impl Drop for SessionUse {
    fn drop(&mut self) {
        let now = self.sessions.clock.elapsed();
        if let Some(owner) = self.sessions.lock().sessions.get_mut(&self.id) {
            (owner.uses, owner.left) = (owner.uses.saturating_sub(1), now);
        }
    }
}

/// Who began a session, how, and when it was last used.
#[derive(Clone)]
pub(super) struct Owner {
    account: AccountId,
    credential: CredentialId,
    read_only: bool,
    pub(super) seen: Duration,
    /// What it is begun with again after it slept; none if that cannot be read, and then it does not sleep.
    pub(super) begun_with: Option<Box<InitializeRequestParams>>,
    pub(super) rest: Rest,
    /// Requests and streams that are in it.
    pub(super) uses: usize,
    /// When the last one of them left.
    pub(super) left: Duration,
}

impl Owner {
    fn of(who: &Principal, seen: Duration) -> Self {
        let (account, credential) = (who.account.clone(), who.credential.clone());
        Self { account, credential, read_only: who.read_only, seen, begun_with: None, rest: Rest::Awake, uses: 0, left: seen }
    }
}

#[derive(Default)]
pub(super) struct Known {
    pub(super) sessions: HashMap<HeaderValue, Owner>,
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
    pub(super) manager: Arc<LocalSessionManager>,
    pub(super) clock: Arc<dyn Clock>,
    fence: Arc<Fence>,
    pub(super) caps: SessionCaps,
    known: Mutex<Known>,
    /// Told when one has fallen asleep, or ended while it did.
    pub(super) settled: Notify,
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
    /// The session has begun, with these parameters of `initialize`.
    pub fn keep(self, id: &HeaderValue, params: &Value) {
        let begun_with = InitializeRequestParams::deserialize(params).ok().map(Box::new);
        self.sessions.lock().sessions.insert(id.clone(), Owner { begun_with, ..self.owner.clone() });
    }
}

impl Sessions {
    /// Keeps the books of `manager`.
    pub fn new(manager: Arc<LocalSessionManager>, clock: Arc<dyn Clock>, fence: Arc<Fence>, caps: SessionCaps) -> Arc<Self> {
        Arc::new(Self {
            manager,
            clock,
            fence,
            caps,
            known: Mutex::default(),
            settled: Notify::new(),
            followed: AtomicBool::new(false),
        })
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
                sessions.lay_down().await;
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

    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a request without a session, or with one of its own key and endpoint, which is in use from then on. Another's looks
    /// like none.
    pub async fn enter(self: &Arc<Self>, headers: &HeaderMap, who: &Principal) -> Result<Option<Arc<SessionUse>>, Problem> {
        let mut ids = headers.get_all(&SESSION_ID).iter();
        let Some(id) = ids.next() else { return Ok(None) };
        let is_only = ids.next().is_none();
        let is_own = |owner: &Owner| is_only && owner.credential == who.credential && owner.read_only == who.read_only;
        match self.begin_use(id, is_own).await {
            Some(used) => Ok(Some(Arc::new(used))),
            None => Err(Refusal::new(Code::NotFound, "There is no such session.").hint("Begin a new one.").into()),
        }
    }

    /// Begins a use of a session that passes, once it does not fall asleep any more.
    async fn begin_use(self: &Arc<Self>, id: &HeaderValue, passes: impl Fn(&Owner) -> bool) -> Option<SessionUse> {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            {
                let mut known = self.lock();
                let owner = known.sessions.get_mut(id).filter(|owner| passes(owner))?;
                if owner.rest != Rest::Falling {
                    (owner.seen, owner.uses) = (self.clock.elapsed(), owner.uses + 1);
                    return Some(SessionUse { sessions: Arc::clone(self), id: id.clone() });
                }
            }
            settled.await;
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
        let is_live = |id: &HeaderValue| id.to_str().is_ok_and(|id| live.contains_key(id));
        self.lock().sessions.retain(|id, owner| owner.rest != Rest::Awake || is_live(id));
    }

    /// The session has ended.
    pub fn forget(&self, id: &HeaderValue) {
        self.lock().sessions.remove(id);
    }
}
