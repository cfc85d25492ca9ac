//! What each kind of event says of itself. Every match names every kind: one that is new is thought of here, or does not compile.

use super::body::Ended;
use super::kind::EventKind;
use crate::core::id::{CallId, CredentialId, SwitchId};

impl EventKind {
    /// The call it belongs to.
    #[must_use]
    pub fn call(&self) -> Option<&CallId> {
        match self {
            Self::IntentRecorded(intent) => Some(&intent.call),
            Self::Refused(refused) => Some(&refused.call),
            Self::Admitted(admitted) => Some(&admitted.call),
            Self::Succeeded(end) | Self::Failed(end) | Self::Cancelled(end) | Self::TimedOut(end) | Self::Unknown(end) => {
                Some(&end.call)
            }
            Self::Held { call, .. }
            | Self::Started { call, .. }
            | Self::Reconciled { call, .. }
            | Self::LateResult { call }
            | Self::ApprovalDecided { call, .. }
            | Self::CancelRequested { call, .. } => Some(call),
            Self::RefusalsCounted { .. }
            | Self::SwitchEngaged { .. }
            | Self::ReleaseRequested { .. }
            | Self::SwitchReleased { .. }
            | Self::SwitchExpired { .. }
            | Self::AccountCreated { .. }
            | Self::AccountChanged { .. }
            | Self::UserCreated { .. }
            | Self::CredentialCreated(_)
            | Self::CredentialRevoked { .. }
            | Self::CredentialAdopted { .. }
            | Self::VmImported { .. }
            | Self::VmExecSet { .. }
            | Self::ClaimCleared { .. }
            | Self::PolicyLoaded { .. }
            | Self::PolicyRejected { .. }
            | Self::LimitsSet { .. }
            | Self::NodeStarted { .. }
            | Self::NodeStopped { .. }
            | Self::LogRead { .. }
            | Self::SignedIn { .. }
            | Self::SignInRefused { .. }
            | Self::ClockAccepted { .. }
            | Self::SignedOut { .. }
            | Self::PasswordSet { .. }
            | Self::ReleaseRamped { .. }
            | Self::RoleChanged { .. }
            | Self::IdentityLinked { .. }
            | Self::IdentityUnlinked { .. }
            | Self::VouchedFor { .. }
            | Self::RoleWithdrawn { .. }
            | Self::DrillCompleted(_)
            | Self::AlarmAcknowledged { .. }
            | Self::PersonInvited { .. }
            | Self::InvitationRevoked { .. }
            | Self::UserRemoved { .. }
            | Self::StateMended { .. } => None,
        }
    }

    /// What somebody did to a call besides making it, with the key it was done with: the leaf names the person, of whom a reader
    /// may not know more than that it was the staff.
    #[must_use]
    pub fn said_by_a_person(&self) -> Option<Option<&CredentialId>> {
        match self {
            Self::ApprovalDecided { by, credential, .. } => (by.is_some() || credential.is_some()).then_some(credential.as_ref()),
            Self::CancelRequested { credential, .. } => Some(Some(credential)),
            Self::IntentRecorded(_)
            | Self::Refused(_)
            | Self::Admitted(_)
            | Self::Held { .. }
            | Self::Started { .. }
            | Self::Succeeded(_)
            | Self::Failed(_)
            | Self::Cancelled(_)
            | Self::TimedOut(_)
            | Self::Unknown(_)
            | Self::Reconciled { .. }
            | Self::LateResult { .. }
            | Self::RefusalsCounted { .. }
            | Self::SwitchEngaged { .. }
            | Self::ReleaseRequested { .. }
            | Self::SwitchReleased { .. }
            | Self::SwitchExpired { .. }
            | Self::AccountCreated { .. }
            | Self::AccountChanged { .. }
            | Self::UserCreated { .. }
            | Self::CredentialCreated(_)
            | Self::CredentialRevoked { .. }
            | Self::CredentialAdopted { .. }
            | Self::VmImported { .. }
            | Self::VmExecSet { .. }
            | Self::ClaimCleared { .. }
            | Self::PolicyLoaded { .. }
            | Self::PolicyRejected { .. }
            | Self::LimitsSet { .. }
            | Self::NodeStarted { .. }
            | Self::NodeStopped { .. }
            | Self::LogRead { .. }
            | Self::SignedIn { .. }
            | Self::SignInRefused { .. }
            | Self::ClockAccepted { .. }
            | Self::SignedOut { .. }
            | Self::PasswordSet { .. }
            | Self::ReleaseRamped { .. }
            | Self::RoleChanged { .. }
            | Self::IdentityLinked { .. }
            | Self::IdentityUnlinked { .. }
            | Self::VouchedFor { .. }
            | Self::RoleWithdrawn { .. }
            | Self::DrillCompleted(_)
            | Self::AlarmAcknowledged { .. }
            | Self::PersonInvited { .. }
            | Self::InvitationRevoked { .. }
            | Self::UserRemoved { .. }
            | Self::StateMended { .. } => None,
        }
    }

    /// The end it records, if it is a terminal event other than a refusal.
    #[must_use]
    pub fn end(&self) -> Option<&Ended> {
        match self {
            Self::Succeeded(end) | Self::Failed(end) | Self::Cancelled(end) | Self::TimedOut(end) | Self::Unknown(end) => {
                Some(end)
            }
            _ => None,
        }
    }

    /// The switch that was engaged or released on the data itself, past every role and the second person (break-glass).
    #[must_use]
    pub fn break_glass(&self) -> Option<&SwitchId> {
        match self {
            Self::SwitchEngaged { switch, by: None, credential: None, .. }
            | Self::SwitchReleased { switch, break_glass: true, .. }
            | Self::ReleaseRamped { switch, break_glass: true, .. } => Some(switch),
            _ => None,
        }
    }

    /// The `type` of the leaf.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::IntentRecorded(_) => "intent_recorded",
            Self::Refused(_) => "refused",
            Self::Admitted(_) => "admitted",
            Self::Held { .. } => "held",
            Self::Started { .. } => "started",
            Self::Succeeded(_) => "succeeded",
            Self::Failed(_) => "failed",
            Self::Cancelled(_) => "cancelled",
            Self::TimedOut(_) => "timed_out",
            Self::Unknown(_) => "unknown",
            Self::Reconciled { .. } => "reconciled",
            Self::LateResult { .. } => "late_result",
            Self::RefusalsCounted { .. } => "refusals_counted",
            Self::SwitchEngaged { .. } => "switch_engaged",
            Self::ReleaseRequested { .. } => "release_requested",
            Self::SwitchReleased { .. } => "switch_released",
            Self::SwitchExpired { .. } => "switch_expired",
            Self::AccountCreated { .. } => "account_created",
            Self::AccountChanged { .. } => "account_changed",
            Self::UserCreated { .. } => "user_created",
            Self::CredentialCreated(_) => "credential_created",
            Self::CredentialRevoked { .. } => "credential_revoked",
            Self::CredentialAdopted { .. } => "credential_adopted",
            Self::StateMended { .. } => "state_mended",
            Self::VmImported { .. } => "vm_imported",
            Self::VmExecSet { .. } => "vm_exec_set",
            Self::ClaimCleared { .. } => "claim_cleared",
            Self::PolicyLoaded { .. } => "policy_loaded",
            Self::LimitsSet { .. } => "limits_set",
            Self::PolicyRejected { .. } => "policy_rejected",
            Self::NodeStarted { .. } => "node_started",
            Self::NodeStopped { .. } => "node_stopped",
            Self::LogRead { .. } => "log_read",
            Self::SignedIn { .. } => "signed_in",
            Self::SignInRefused { .. } => "sign_in_refused",
            Self::ClockAccepted { .. } => "clock_accepted",
            Self::SignedOut { .. } => "signed_out",
            Self::PasswordSet { .. } => "password_set",
            Self::ApprovalDecided { .. } => "approval_decided",
            Self::ReleaseRamped { .. } => "release_ramped",
            Self::RoleChanged { .. } => "role_changed",
            Self::IdentityLinked { .. } => "identity_linked",
            Self::IdentityUnlinked { .. } => "identity_unlinked",
            Self::VouchedFor { .. } => "vouched_for",
            Self::RoleWithdrawn { .. } => "role_withdrawn",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::DrillCompleted(_) => "drill_completed",
            Self::AlarmAcknowledged { .. } => "alarm_acknowledged",
            Self::PersonInvited { .. } => "person_invited",
            Self::InvitationRevoked { .. } => "invitation_revoked",
            Self::UserRemoved { .. } => "user_removed",
        }
    }
}
