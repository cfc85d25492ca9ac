//! From what went wrong to how a call ends, in one place.
//!
//! INVARIANT: an answer that was lost ends `unknown`, never `failed`; what was never sent is never `unknown` (P4).

use super::Execution;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::noun::vm::vm_not_found;
use crate::core::refusal::Refusal;
use crate::core::visible::capitalized;
use crate::log::reading::ReadError;
use crate::log::store::StoreError;
use crate::log::vault::VaultError;
use crate::log::writer::WriteError;
use crate::providers::Permit;
use crate::providers::compute::{MachineRef, ProviderError};

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(refusal)
    }
}

impl From<ProviderError> for Outcome {
    fn from(error: ProviderError) -> Self {
        let text = error.to_string();
        let code = match error {
            ProviderError::NotFound(_) => Code::NotFound,
            ProviderError::State(_) => Code::VmStateBlocked,
            ProviderError::Unsupported(_) => Code::NotImplemented,
            ProviderError::GuestUnavailable(_) => Code::GuestAgentUnavailable,
            ProviderError::Refused(_) => Code::UpstreamError,
            ProviderError::Unreachable(_) => Code::UpstreamUnreachable,
            ProviderError::AnswerLost(_) => return Self::Unknown(text),
        };
        Self::Failed(Refusal::new(code, format!("{}.", capitalized(&text))))
    }
}

impl From<WriteError> for Outcome {
    fn from(error: WriteError) -> Self {
        tracing::error!(%error, "a tool could not write to the log");
        match error {
            WriteError::Overloaded => {
                Self::Failed(Refusal::new(Code::Overloaded, "Too many events wait to be recorded; nothing was changed."))
            }
            WriteError::Store { uncertain: true, .. } => Self::Unknown("the log's answer to the commit was lost".into()),
            WriteError::Store { .. }
            | WriteError::Blocked(_)
            | WriteError::Unconfirmed(_)
            | WriteError::Differs(_)
            | WriteError::Unread(_)
            | WriteError::Stopped => Self::Failed(unrecorded()),
        }
    }
}

impl From<VaultError> for Outcome {
    fn from(error: VaultError) -> Self {
        tracing::error!(%error, "a tool could not use the vault");
        Self::Failed(unrecorded())
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a tool could not read the log");
        Self::Failed(unreadable())
    }
}

impl From<ReadError> for Outcome {
    fn from(error: ReadError) -> Self {
        tracing::error!(%error, "a tool could not read the log");
        Self::Failed(unreadable())
    }
}

/// That arguments were read as what they are not: those of another operation.
pub(super) fn misread() -> Outcome {
    Refusal::new(Code::InternalError, "The arguments were read as those of another operation.").into()
}

fn unrecorded() -> Refusal {
    Refusal::new(Code::AuditUnavailable, "The change could not be recorded, so it was not made.")
}

fn unreadable() -> Refusal {
    Refusal::new(Code::AuditUnavailable, "The log cannot be read now.")
}

impl Execution {
    /// The machine behind what the call is about.
    pub(super) fn machine(&self) -> Result<MachineRef, Outcome> {
        let machine = self.resources.iter().find_map(|row| row.machine.clone());
        machine.map(MachineRef).ok_or_else(|| Outcome::Failed(vm_not_found()))
    }

    /// Leave to send one request, or the end of a call that a switch or its caller has stopped before anything was sent.
    pub(super) fn leave(&self) -> Result<Permit, Outcome> {
        if self.cancel.is_cancelled() {
            return Err(Outcome::Cancelled(Code::Cancelled));
        }
        self.permit().map_err(|refusal| match refusal.code {
            Code::KillSwitchEngaged => Outcome::Cancelled(refusal.code),
            _ => Outcome::Failed(refusal),
        })
    }
}
