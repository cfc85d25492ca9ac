//! The one function by which every call comes in: MCP, REST, stdio and the command line alike.
//!
//! ```text
//! submit: tool and arguments ─▶ redaction ─▶ policy verdict ─▶ writer (intent + decision, one commit)
//!           ├─ refused / replayed: answered
//!           ├─ queued: answered with the operation's id
//!           ├─ held: a person is asked; answered when the call has ended, or `approval_required` after `wait`
//!           └─ admitted: handed to the worker as an Assignment; answered when it is closed, or running after `wait`
//! ```

mod answer;
mod endings;
mod fair_queue;
mod finish;
mod follow;
mod hold;
mod in_flight;
pub mod in_force;
mod intake;
mod joins;
pub mod limits;
mod nested_calls;
mod plane;
pub mod policies;
mod reached;
mod recheck;
mod recorded;
mod release;
mod repeat;
mod resume;
mod submit;
mod unrecorded;
mod waiting;

#[cfg(feature = "testing")]
pub use fair_queue::FairQueue;
#[cfg(feature = "testing")]
pub use plane::PolicyEvaluator;
pub use plane::{Assignment, Control};
pub use recheck::Recipient;
pub use recorded::Recorded;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::core::call::Status;
use crate::core::id::CallId;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::tools::Progress;

/// A call as it comes in. It proves that its caller was authenticated, and nothing else.
pub struct Request {
    /// Who, as authenticated.
    pub principal: Principal,
    /// The tool's name as it was asked for.
    pub tool: String,
    /// The arguments as they came; anything but an object is invalid.
    pub args: Value,
    /// Why the protocol rejects the call, if it does: then it is recorded, and refused with this at the latest.
    pub rejected: Option<Refusal>,
    /// How many more calls are rejected with it that are only counted.
    pub others: u32,
    /// MCP session id, recorded as a digest.
    pub session: Option<String>,
    /// MCP protocol version.
    pub protocol: Option<String>,
    /// The call that this one is the next round of; it then ends as that one does and runs nothing itself.
    pub follows: Option<String>,
    /// What the client says it is; recorded encrypted, never used to decide.
    pub user_agent: Option<String>,
    /// How long the caller waits before it gets a running operation instead of a result; a protocol lets each wait for as long as
    /// its settings say, or longer.
    pub wait: Duration,
    /// Cancelled when the caller goes away.
    pub cancel: CancellationToken,
    /// Where progress goes.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// What the caller does if the call has to wait for a person.
    pub on_hold: OnHold,
    /// Told the call's id once it is recorded and will be done, if its answer can be read back later.
    pub made: Option<watch::Sender<Option<CallId>>>,
}

impl Request {
    /// A call of which nothing is said but who asks for what, and who does not wait.
    #[must_use]
    pub fn new(principal: Principal, tool: impl Into<String>, args: Value) -> Self {
        Self {
            principal,
            tool: tool.into(),
            args,
            rejected: None,
            others: 0,
            session: None,
            protocol: None,
            follows: None,
            user_agent: None,
            wait: Duration::ZERO,
            cancel: CancellationToken::new(),
            progress: None,
            on_hold: OnHold::default(),
            made: None,
        }
    }
}

/// What a caller does whose call has to wait for a person.
#[derive(Default)]
pub enum OnHold {
    /// Waits with it.
    #[default]
    Wait,
    /// Waits with it, and is told at once what it will be answered if nobody comes.
    Tell(oneshot::Sender<Refusal>),
    /// Takes the answer at once, and comes back with a call that follows this one.
    Leave,
}

/// What a caller is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It was done.
    Done {
        /// The call.
        call: CallId,
        /// The result document.
        result: Value,
    },
    /// It was refused, or did not succeed.
    Failed {
        /// The call, or none if nothing could be recorded; a counted refusal names its run in the details.
        call: Option<CallId>,
        /// Why.
        refusal: Refusal,
        /// Its status; `Refused` if it never ran.
        status: Status,
    },
    /// It goes on; `operation_get` tells more.
    Running {
        /// The call, which is the operation's id.
        call: CallId,
        /// `queued` or `running`.
        status: Status,
        /// It is a command in a guest, which `command_get` tells more about.
        command: bool,
    },
}

impl Reply {
    /// The one result document, the same over MCP and REST.
    #[must_use]
    pub fn document(&self) -> Value {
        match self {
            Self::Done { result, .. } => result.clone(),
            Self::Failed { call, refusal, .. } => refusal.body(call.as_ref()),
            Self::Running { call, status, command: false } => json!({ "operation_id": call, "status": status }),
            Self::Running { call, status, command: true } => {
                json!({ "command_id": call, "operation_id": call, "status": status })
            }
        }
    }

    /// The call it is about.
    #[must_use]
    pub fn call(&self) -> Option<&CallId> {
        match self {
            Self::Done { call, .. } | Self::Running { call, .. } => Some(call),
            Self::Failed { call, .. } => call.as_ref(),
        }
    }
}
