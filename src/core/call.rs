//! A call as the fold of its events. `next` is the whole state machine, as one total function.
//!
//! ```text
//!            ┌────────▶ Refused
//! Recorded ──┼────────▶ Admitted(node) ───────────────▶ Succeeded | Failed | Cancelled | TimedOut | Unknown
//!            │             ▲     │ queued                        ▲
//!            └────▶ Held ──┘     └──────▶ Started ───────────────┘
//!                   ↺└───▶ Refused                            ↺ ApprovalDecided
//! after the end: Reconciled (only after Unknown) and LateResult annotate and change nothing
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code::Code;
use super::event::EventKind;

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its intent is written; nothing is decided.
    Recorded,
    /// It waits for a person.
    Held,
    /// It is admitted and waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// It was refused.
    Refused,
    /// It was done.
    Succeeded,
    /// It failed.
    Failed,
    /// It was stopped.
    Cancelled,
    /// Its time was over.
    TimedOut,
    /// Nobody can say.
    Unknown,
}

impl Status {
    /// Every status, in the order in which a call goes through them.
    pub const ALL: [Self; 10] = [
        Self::Recorded,
        Self::Held,
        Self::Queued,
        Self::Running,
        Self::Refused,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
        Self::Unknown,
    ];

    /// Whether the call has reached its one terminal event (P2).
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Refused | Self::Succeeded | Self::Failed | Self::Cancelled | Self::TimedOut | Self::Unknown)
    }

    /// The status as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Held => "held",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Refused => "refused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Unknown => "unknown",
        }
    }
}

/// An event that cannot follow.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("folding a call: {event} cannot follow {status:?}")]
pub struct IllegalTransition {
    /// Where the call stood; none if it did not exist.
    pub status: Option<Status>,
    /// The event's type.
    pub event: &'static str,
}

/// The status after `event`, if it may follow `status`.
pub fn next(status: Option<Status>, event: &EventKind) -> Result<Status, IllegalTransition> {
    use Status::{Cancelled, Failed, Held, Queued, Recorded, Refused, Running, Succeeded, TimedOut, Unknown};
    let illegal = || IllegalTransition { status, event: event.name() };
    let Some(now) = status else {
        return if matches!(event, EventKind::IntentRecorded(_)) { Ok(Recorded) } else { Err(illegal()) };
    };
    match (now, event) {
        (Recorded | Held, EventKind::Refused(_)) => Ok(Refused),
        (Recorded | Held, EventKind::Admitted(admitted)) => Ok(if admitted.node.is_some() { Running } else { Queued }),
        // Of two persons the first one's answer changes nothing yet.
        (Recorded, EventKind::Held { .. }) | (Held, EventKind::ApprovalDecided { .. }) => Ok(Held),
        // A node may take over a queued call, or one whose node died, if running it again changes nothing.
        (Queued | Running, EventKind::Started { .. }) => Ok(Running),
        (Running, EventKind::Succeeded(_)) => Ok(Succeeded),
        (Running, EventKind::Failed(_)) => Ok(Failed),
        (Queued | Running, EventKind::Cancelled(_)) => Ok(Cancelled),
        (Queued | Running, EventKind::TimedOut(_)) => Ok(TimedOut),
        (Queued | Running, EventKind::Unknown(_)) | (Unknown, EventKind::Reconciled { .. }) => Ok(Unknown),
        (Queued | Running, EventKind::CancelRequested { .. })
        | (Succeeded | Failed | Cancelled | TimedOut | Unknown, EventKind::LateResult { .. }) => Ok(now),
        _ => Err(illegal()),
    }
}

/// How an execution ended, before it is written down.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was done, with this result.
    Succeeded(super::tool_result::ToolResult),
    /// It was not done, or failed.
    Failed(super::refusal::Refusal),
    /// It was stopped.
    Cancelled(Code),
    /// Its time was over and it was ended; what there was of a result.
    TimedOut(super::tool_result::ToolResult),
    /// Nobody can say whether it was done.
    Unknown(String),
}
