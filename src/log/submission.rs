//! A call on its way into the log, and what became of it there.

use super::admitted::Admitted;
use super::vault::SealedPart;
use crate::core::approval::Approval;
use crate::core::call::Status;
use crate::core::event::IntentRecorded;
use crate::core::id::{CallId, EventId, NodeId, Position, RunId};
use crate::core::proposal::Proposal;
use crate::core::refusal::Refusal;
use crate::core::tool::Timing;

/// A call as it is handed to the writer. All checks that need no log are done.
pub struct Submission {
    /// What is decided.
    pub proposal: Proposal,
    /// What is recorded of the intent.
    pub intent: IntentRecorded,
    /// Ids for the intent, the decision and, in a replay, the end.
    pub events: [EventId; 3],
    /// Id for a run of refusals that may begin here.
    pub run: RunId,
    /// How many more calls are refused with it that are only counted.
    pub others: u32,
    /// Encrypted parts of the intent.
    pub parts: Vec<SealedPart>,
    /// The same with less of long arguments, if they are long: what is kept of a call that is refused.
    pub brief: Option<Vec<SealedPart>>,
    /// The node that claims it if it is admitted and instant.
    pub node: NodeId,
    /// The call that it was found to repeat.
    pub repeats: Option<CallId>,
    /// What it needs if it is held.
    pub waits: Waits,
}

impl Submission {
    /// Whether a worker takes it, or a person is asked, once it is in the log: it is not its node's alone.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.waits.sealed || self.proposal.tool.is_some_and(|tool| tool.timing == Timing::Queued)
    }
}

/// What became of a submission.
#[derive(Debug)]
pub enum Submitted {
    /// This node runs it now.
    Admitted(Admitted),
    /// A worker will take it.
    Queued,
    /// It waits for a person.
    Held(Box<Approval>),
    /// It was refused; in a run of identical refusals it was counted instead of recorded.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The run it was counted in.
        run: Option<RunId>,
    },
    /// It has ended as the recorded call did.
    Replayed {
        /// The first call.
        first: CallId,
        /// How that ended.
        status: Status,
        /// Where that is written.
        end: Position,
    },
    /// It ends as this running call ends, which the caller waits for and repeats.
    Joined(CallId),
    /// Policy or a resource moved: evaluate and submit again. Nothing was written.
    Unsettled,
    /// It repeats this call, whose events the transaction has not read: submit again and name it. Nothing was written.
    Repeats(CallId),
}

impl Submitted {
    /// Whether an intent of its own was recorded.
    pub(super) fn is_recorded(&self) -> bool {
        !matches!(self, Self::Unsettled | Self::Repeats(_) | Self::Refused { run: Some(_), .. })
    }
}

/// What a submission brings in case it is not run at once.
pub struct Waits {
    /// Its arguments are sealed in the vault.
    pub sealed: bool,
    /// What would be run is not what a person would be shown: nobody can say yes to it.
    pub hidden: bool,
    /// What is asked for, encrypted for the event.
    pub note: Vec<SealedPart>,
}
