//! Rechecks a caller's key before a long-awaited answer leaves.
//!
//! INVARIANT: a key that has ended gets no answer that was recorded after its end (P8, P14). The wait ends as soon as this node
//! knows of it, and the key is looked up in the log again before the answer leaves. The call itself goes on; only its answer is
//! withheld. A switch does not end a key: a call under a switch is answered as it ended.

use std::time::Duration;

use super::{Control, Reply};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::lineage::alive;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::tool::{Class, ToolSpec};

/// How often the key's expiry is checked: expiry changes no control state, so nothing announces it.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How an answer is held against control state before it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recheck {
    /// Its call's end was written by this node after all of it was read: since then it knows what the log knew.
    ByItsEnd,
    /// The log is asked.
    ByLog,
}

/// Who waits for an answer, and to which call.
#[derive(Clone, Copy)]
pub struct Recipient<'a> {
    /// Who waits.
    pub who: &'a Principal,
    /// What was asked for; nothing, where it is no call.
    pub call: Option<&'static ToolSpec>,
}

impl<'a> Recipient<'a> {
    /// Somebody who listens, without a call.
    #[must_use]
    pub fn listening(who: &'a Principal) -> Self {
        Self { who, call: None }
    }

    /// What only reads has no purpose but its answer.
    pub(super) fn reads(&self) -> bool {
        self.call.is_some_and(|tool| tool.class == Class::Read && !tool.stops)
    }

    /// Why an answer is withheld. Of a call that goes on it is not said that it may be made again.
    fn withheld(&self, refusal: Refusal) -> Refusal {
        if self.reads() || refusal.code != Code::AuditUnavailable {
            return refusal;
        }
        Refusal::new(Code::OutcomeUnknown, "Whether this may still be answered cannot be read, so it is not. The call goes on.")
            .hint("operation_get with this call's id tells what becomes of it. Do not make the call again before.")
    }

    /// What administers or stops answers with what it did itself, while its key was alive: it may have ended that key.
    fn answers_for_itself(&self) -> bool {
        self.call.is_some_and(|tool| (tool.stops || tool.class == Class::Control) && !tool.lists())
    }
}

impl Control {
    /// Refuses if the key has ended, as this node knows it.
    pub fn recheck(&self, asking: Recipient<'_>) -> Result<(), Refusal> {
        alive(&self.ports.fence().state(), &asking.who.credential, self.ports.clock.now()).map(drop)
    }

    /// The same as the log has it: whatever was read before this is asked was recorded before what this finds.
    pub async fn recheck_in_log(&self, asking: Recipient<'_>) -> Result<(), Refusal> {
        let fresh = self.ports.writer.fresh().await.map_err(|error| unread(&error))?;
        alive(fresh.state(), &asking.who.credential, self.ports.clock.now()).map(drop)
    }

    /// Returns once nothing more may be told, as far as this node knows: then it may not.
    pub async fn key_ended(&self, asking: Recipient<'_>) -> Refusal {
        let mut changes = self.ports.fence().changes();
        loop {
            changes.mark_unchanged();
            if let Err(refusal) = self.recheck(asking) {
                return refusal;
            }
            // The end of a key's time changes nothing that somebody could be told of.
            if let Ok(Err(_)) = tokio::time::timeout(POLL_INTERVAL, changes.changed()).await {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    /// What `waiting` comes to, if it may still be told; else that it may not.
    pub(super) async fn unless_key_ended(
        &self,
        call: &CallId,
        asking: Recipient<'_>,
        look: Recheck,
        waiting: impl Future<Output = Reply>,
    ) -> Result<Reply, Reply> {
        if asking.answers_for_itself() {
            return Ok(waiting.await);
        }
        let told = tokio::select! {
            // In this order: what was admitted is handed on whatever becomes of its caller.
            biased;
            reply = waiting => match look {
                Recheck::ByItsEnd => self.recheck(asking).map(|()| reply),
                Recheck::ByLog => self.recheck_in_log(asking).await.map(|()| reply).map_err(|refusal| asking.withheld(refusal)),
            },
            refusal = self.key_ended(asking) => Err(refusal),
        };
        let status = if asking.reads() { Status::Cancelled } else { Status::Running };
        told.map_err(|refusal| Reply::Failed { call: Some(call.clone()), refusal, status })
    }
}

fn unread(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(error, "whether an answer may be given cannot be read");
    Refusal::new(Code::AuditUnavailable, "Whether this may still be answered cannot be read, so it is not.")
}
