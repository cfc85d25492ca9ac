//! The answer to a call whose caller was cut off before it came, from the log.
//!
//! INVARIANT: only the key that made a call, in the session in which it made it, is answered, whichever node it asks. What a tool
//! shows once (a new key) is not answered again.

use std::time::Duration;

use super::recheck::{Recheck, Recipient};
use super::{Control, Reply};
use crate::auth::session;
use crate::core::call::Status;
use crate::core::event::IntentRecorded;
use crate::core::id::CallId;
use crate::core::principal::{Principal, Via};
use crate::core::redact::Sensitivity;
use crate::core::refusal::Refusal;
use crate::tools::Tool;

/// How often it is looked whether the call has ended, if nobody tells.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A call whose answer can be fetched.
pub struct Resumed {
    call: CallId,
    intent: IntentRecorded,
}

/// Whether the result of such a call can be read back from the log.
pub(super) fn can_resume(tool: &Tool) -> bool {
    tool.results.values().all(|class| *class != Sensitivity::Secret)
}

impl Control {
    /// The call that `who` made in `session`; none if there is no such call.
    pub async fn resume(&self, call: &CallId, who: &Principal, session: &str) -> Result<Option<Resumed>, Refusal> {
        let Some(intent) = self.intent_of(call, who).await? else { return Ok(None) };
        let is_theirs = intent.call == *call
            && matches!(intent.via, Via::Mcp | Via::Stdio)
            && self.is_own(&intent, who)
            && intent.session.as_deref() == Some(session::digest(session).as_str());
        Ok(is_theirs.then(|| Resumed { call: call.clone(), intent }))
    }

    /// What the call came to, if `who` may still be told; the running operation if it takes longer than `wait`.
    pub async fn answer_again(&self, resumed: &Resumed, who: &Principal, wait: Duration) -> Reply {
        let Resumed { call, intent } = resumed;
        let Some(tool) = self.catalogue.get(&intent.tool) else { return self.still_open(call, call).await };
        let asking = Recipient { who, call: Some(tool.facts) };
        let waiting = self.end_of(call, tool, wait);
        self.unless_key_ended(call, asking, Recheck::ByLog, waiting).await.unwrap_or_else(|over| over)
    }

    async fn end_of(&self, call: &CallId, tool: &Tool, wait: Duration) -> Reply {
        let ending = async {
            let mut endings = self.endings.subscribe();
            loop {
                if let Some(reply) = self.recorded_end(call, tool).await {
                    return reply;
                }
                // Whatever woke us, the views are asked again.
                let _ = tokio::time::timeout(POLL_INTERVAL, endings.recv()).await;
            }
        };
        match self.leaving.run_until_cancelled(tokio::time::timeout(wait, ending)).await {
            Some(Ok(reply)) => reply,
            _ => match self.still_open(call, call).await {
                Reply::Running { call, .. } => Reply::Running { call, status: Status::Running, command: tool.facts.is_command() },
                held => held,
            },
        }
    }
}
