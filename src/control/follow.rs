//! The next round of a call that had to wait for a person: its caller was sent to ask one, and comes back.
//!
//! INVARIANT: a call follows none but one of the same key, tool and arguments, as the log has it. What the caller brings to
//! name it is not believed, so it needs no seal. A call of anybody else is looked for as long as one that does not exist (P9).

use std::time::Duration;

use super::Control;
use super::intake::Intake;
use crate::core::code::Code;
use crate::core::event::{EventKind, IntentRecorded};
use crate::core::id::{CallId, Position};
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::visibility::Visibility;

/// How often, and how many times, a call that has just ended is looked for in the views.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
const TIMES: usize = 8;

impl Control {
    /// The call that is named by `follows`, if a call of `who` with these arguments may follow it.
    pub(super) async fn followed(
        &self,
        follows: &str,
        who: &Principal,
        intake: &Intake<'_>,
        arguments: &str,
    ) -> Result<CallId, Refusal> {
        let Ok(call) = follows.parse::<CallId>() else { return Err(no_such_call()) };
        let found = self.intent_of(&call, who).await?;
        let same = |intent: &IntentRecorded| {
            intent.call == call && self.is_own(intent, who) && intent.tool == intake.name && intent.arguments == arguments
        };
        if !found.as_ref().is_some_and(same) {
            return Err(no_such_call());
        }
        // One that has joined another is followed to that one, so that all who wait for it are counted there.
        Ok(self.open_job(&call).await.and_then(|job| job.joins).unwrap_or(call))
    }

    /// Whether a call is one of this key, also by a secret that it had before.
    pub(super) fn is_own(&self, intent: &IntentRecorded, who: &Principal) -> bool {
        intent.account == who.account && self.ports.fence().state().is_same_key(&intent.credential, &who.credential)
    }

    /// What `who`'s key recorded as the intent of `call`.
    pub(super) async fn intent_of(&self, call: &CallId, who: &Principal) -> Result<Option<IntentRecorded>, Refusal> {
        for _ in 0..TIMES {
            let Some(position) = self.intent_position(call, who).await? else {
                // It may have ended, and the views may not know it yet.
                tokio::time::sleep(POLL_INTERVAL).await;
                continue;
            };
            let event = self.ports.reader.event(position).await.map_err(|error| {
                tracing::error!(%error, call_id = %call, "a call that is followed cannot be read back");
                Refusal::new(Code::AuditUnavailable, "The call that this one follows cannot be read back now.")
            })?;
            let intent =
                event.and_then(|event| if let EventKind::IntentRecorded(intent) = event.kind { Some(intent) } else { None });
            return Ok(intent.filter(|intent| intent.call == *call && self.is_own(intent, who)));
        }
        Ok(None)
    }

    async fn intent_position(&self, call: &CallId, who: &Principal) -> Result<Option<Position>, Refusal> {
        let own = Visibility::bounded(Some(who.account.clone()), Some(who.credential.clone()));
        let own = own.refreshed(&self.ports.fence().state());
        if let Some(job) = self.open_job(call).await.filter(|job| own.call(&job.account, job.credential.as_str())) {
            return Ok(Some(job.intent));
        }
        Ok(self.ports.activity.call(&own, call).await?.map(|record| record.intent))
    }
}

fn no_such_call() -> Refusal {
    Refusal::new(
        Code::OperationNotFound,
        "There is no call of this key, with this tool and these arguments, that this one follows.",
    )
    .hint("Call again without it.")
}
