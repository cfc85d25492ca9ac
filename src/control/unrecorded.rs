//! What the caller is answered of a call whose recording failed.
//!
//! ```text
//! the log does not have it      it was not made (P1)
//! the log does have it          it goes on, and the caller hears how it stands ([`crate::log::certain`])
//! the log does not say          an instant one is not made: if it is there, recovery ends it before it starts;
//!                               of any other it is said that the outcome is unknown
//! ```
//!
//! INVARIANT: "it was not made" is said of no call that a worker may still take, or a person may still approve: who is told so
//! makes it again.

use std::time::Duration;

use super::Reply;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::error_chain::error_chain;
use crate::core::id::CallId;
use crate::core::refusal::Refusal;
use crate::log::vault::VaultError;
use crate::log::writer::WriteError;

/// A call whose recording failed.
pub(super) struct Unrecorded {
    /// Why.
    pub(super) error: WriteError,
    /// If it is in the log all the same, a worker takes it, or a person is asked.
    pub(super) waits: bool,
}

impl Unrecorded {
    /// One that could not be encrypted.
    pub(super) fn unsealed(error: &VaultError) -> Self {
        let text = format!("encrypting a payload: {}", error_chain(error));
        Self { error: WriteError::Store { text, uncertain: false }, waits: false }
    }
}

/// What is answered of a call that could not be recorded, as far as anybody knows.
pub(super) fn answer_unrecorded(call: &CallId, unrecorded: &Unrecorded) -> Reply {
    let Unrecorded { error, waits } = unrecorded;
    tracing::error!(target: "forelog::call", call_id = %call, %error, "a call was not recorded, or may not have been");
    if matches!(error, WriteError::Store { uncertain: true, .. }) && *waits {
        return Reply::Failed { call: Some(call.clone()), refusal: perhaps_made(), status: Status::Unknown };
    }
    // One that its own node would run is started by nobody else: if it is there, recovery ends it.
    Reply::Failed { call: None, refusal: refusal_of(error), status: Status::Refused }
}

/// A call that may be in the log, and then is made.
fn perhaps_made() -> Refusal {
    Refusal::new(Code::OutcomeUnknown, "The log did not say whether it has the call. If it has, the call is made.")
        .hint("operation_get with this call's id tells, once the log answers. Do not make the call again before.")
}

/// A call that nothing could be recorded of, so nothing was done (P1).
pub(super) fn refusal_of(error: &WriteError) -> Refusal {
    match error {
        WriteError::Overloaded => Refusal::new(Code::Overloaded, "Too many calls wait to be recorded; nothing was done.")
            .retry_after(Duration::from_millis(200)),
        WriteError::Blocked(_) => Refusal::new(Code::AuditUnavailable, "Somebody holds the log, so the call was not made.")
            .hint("`forelog doctor` on the data names who holds it."),
        WriteError::Unconfirmed(_) => {
            let text = "A standby that the database waits for does not answer, so the call was not made.";
            Refusal::new(Code::AuditUnavailable, text)
                .hint("Bring the standby back, or take it out of synchronous_standby_names; `forelog doctor` names the commit that waits.")
        }
        WriteError::Store { .. } | WriteError::Differs(_) | WriteError::Unread(_) | WriteError::Stopped => {
            Refusal::new(Code::AuditUnavailable, "The call could not be recorded, so it was not made.")
        }
    }
}
