//! The one table of stable codes. A code never changes its meaning; new meanings get new codes.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($(#[doc = $meaning:literal] $name:ident = $text:literal, $status:literal, $retryable:literal;)*) => {
        /// Why a call was refused or failed. Written in lower_snake everywhere.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $meaning] #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as clients see it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that fits it over REST.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Whether the same call may succeed later without being changed.
            #[must_use]
            pub fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }

            /// What it means, as a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }.trim_start()
            }
        }
    };
}

codes! {
    /// No credential, or one that is not known.
    Unauthenticated = "unauthenticated", 401, false;
    /// The credential's time is over.
    TokenExpired = "token_expired", 401, false;
    /// The credential was revoked.
    TokenRevoked = "token_revoked", 401, false;
    /// The credential lacks the scope, which the details name.
    ForbiddenScope = "forbidden_scope", 403, false;
    /// The role does not allow it.
    ForbiddenRole = "forbidden_role", 403, false;
    /// The credential's allow-list does not hold this resource.
    ForbiddenResource = "forbidden_resource", 403, false;
    /// The credential may not be used from this address.
    IpNotAllowed = "ip_not_allowed", 403, false;
    /// The Host or Origin of the request is not one of ours.
    OriginNotAllowed = "origin_not_allowed", 403, false;
    /// A kill switch covers the call.
    KillSwitchEngaged = "kill_switch_engaged", 403, false;
    /// Command execution is off on this VM.
    McpExecDisabled = "mcp_exec_disabled", 403, false;
    /// A policy forbids it, or none permits it.
    PolicyDenied = "policy_denied", 403, false;
    /// The policy kept changing while the call was decided.
    PolicyUnsettled = "policy_unsettled", 503, true;
    /// A person has to approve it first.
    ApprovalRequired = "approval_required", 403, false;
    /// A person rejected it.
    ApprovalRejected = "approval_rejected", 403, false;
    /// Nobody approved it in time.
    ApprovalExpired = "approval_expired", 403, false;
    /// What a person approved is not what would be done now.
    ApprovalSuperseded = "approval_superseded", 409, false;
    /// A later request took its place.
    Superseded = "superseded", 409, false;
    /// The credential or the endpoint is read-only.
    ReadOnlyMode = "read_only_mode", 403, false;
    /// The sliding window is full; `retry_after_ms` says when it is not.
    RateLimited = "rate_limited", 429, true;
    /// The account or the key has as many as it may; the details say of what.
    QuotaExceeded = "quota_exceeded", 429, false;
    /// A guard argument is missing; `required` says which.
    ConfirmationRequired = "confirmation_required", 422, true;
    /// The expected label is not the VM's label.
    LabelMismatch = "label_mismatch", 422, false;
    /// The confirmation is not the exact phrase.
    PhraseMismatch = "phrase_mismatch", 422, true;
    /// The call could not be recorded, so it was not made.
    AuditUnavailable = "audit_unavailable", 503, true;
    /// State the decision needs is missing or unreadable; it refuses.
    ControlStateUnreadable = "control_state_unreadable", 503, true;
    /// This node's clock is too far from the log's time.
    ClockSkew = "clock_skew", 503, true;
    /// The writer's queue is full, or too much is being read or looked for.
    Overloaded = "overloaded", 503, true;
    /// The arguments do not fit the tool's schema.
    ValidationFailed = "validation_failed", 422, false;
    /// There is no such tool, or not for this caller.
    UnknownTool = "unknown_tool", 404, false;
    /// The request's body is larger than allowed.
    TooLarge = "too_large", 413, false;
    /// No such VM for this caller.
    VmNotFound = "vm_not_found", 404, false;
    /// No such command for this caller.
    CommandNotFound = "command_not_found", 404, false;
    /// No such operation for this caller.
    OperationNotFound = "operation_not_found", 404, false;
    /// No such thing for this caller.
    NotFound = "not_found", 404, false;
    /// The VM's state does not allow it.
    VmStateBlocked = "vm_state_blocked", 409, false;
    /// Another command runs on this VM, or one whose end is unknown holds its place.
    VmCommandInProgress = "vm_command_in_progress", 409, true;
    /// Something else changed it first.
    Conflict = "conflict", 409, false;
    /// The key was used with other arguments.
    IdempotencyConflict = "idempotency_conflict", 409, false;
    /// The first call with this key delivered a secret, which is shown once.
    AlreadyDelivered = "already_delivered", 409, false;
    /// Releasing needs a second person.
    SecondPersonRequired = "second_person_required", 403, false;
    /// The guest does not answer.
    GuestAgentUnavailable = "guest_agent_unavailable", 503, true;
    /// It took longer than allowed and was ended.
    Timeout = "timeout", 504, false;
    /// A search took longer than it may; narrow it.
    SearchTimedOut = "search_timed_out", 422, false;
    /// It was cancelled.
    Cancelled = "cancelled", 409, false;
    /// It may or may not have happened; it is never retried by itself.
    OutcomeUnknown = "outcome_unknown", 502, false;
    /// The provider failed.
    UpstreamError = "upstream_error", 502, false;
    /// The provider could not be reached; nothing was sent.
    UpstreamUnreachable = "upstream_unreachable", 503, true;
    /// The provider cannot do this.
    NotImplemented = "not_implemented", 501, false;
    /// Forelog failed.
    InternalError = "internal_error", 500, false;
}

impl Code {
    /// What a caller can do who is told no more than this code: true for whoever gets it, whatever they may do.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        match self {
            Self::Unauthenticated => "Send `Authorization: Bearer <key>` with a key of this server, or sign in again.",
            Self::TokenExpired | Self::TokenRevoked => "It will not work again: ask whoever administers keys for another one.",
            Self::ForbiddenScope => "Use a key that has this right, or ask whoever administers keys for one.",
            Self::ForbiddenRole => "Somebody whose role allows it has to do it.",
            Self::ForbiddenResource => "Use a key that may touch it, or ask whoever administers keys for one.",
            Self::IpNotAllowed => "Call from an address that the key allows, or use another key.",
            Self::OriginNotAllowed => "The operator lists hosts and origins in the configuration.",
            Self::KillSwitchEngaged => "Do not try again until a person says so.",
            Self::McpExecDisabled => "A person of the account turns it on in the console, on the VM's page.",
            Self::PolicyDenied => "It is refused until whoever writes the policies permits it.",
            Self::PolicyUnsettled => "Nothing was done. Call again: the policies were being replaced.",
            Self::ApprovalRequired => "A person answers in the console, under Approvals.",
            Self::ApprovalRejected => "Talk to a person before calling again: a new call asks again.",
            Self::ApprovalExpired | Self::ApprovalSuperseded => "Call again to ask anew.",
            Self::Superseded => "Go by the later request.",
            Self::ReadOnlyMode => "Use a key, and an endpoint, that may also write.",
            Self::RateLimited => "Wait for retry_after_ms, then call again.",
            Self::QuotaExceeded => "Remove one that is not needed any more, or ask the operator for a higher quota.",
            Self::ConfirmationRequired => "If it is meant, make the same call with the arguments in details.add as well.",
            Self::LabelMismatch => "Look which VM is meant, and give the label that it has now.",
            Self::PhraseMismatch => "If it is meant, make the same call with the arguments in details.add instead.",
            Self::AuditUnavailable => "Nothing was done. Call again in a while; if it lasts, /readyz tells the operator why.",
            Self::ControlStateUnreadable => {
                "Nothing was done. The operator runs `forelog doctor`, which names what cannot be read."
            }
            Self::ClockSkew => "Call another node, or have the operator set this one's clock.",
            Self::Overloaded => "Call again in a few seconds, with less at a time.",
            Self::ValidationFailed => "Change what the message names, and call again.",
            Self::UnknownTool => "tools/list over MCP, and /api/v1/openapi.json over REST, name the tools.",
            Self::TooLarge => "Send less, in several calls.",
            Self::VmNotFound => "vm_list lists those that this key may see; it takes the scope vms:read.",
            Self::CommandNotFound => "Give the command_id of an answer of vm_exec or command_start.",
            Self::OperationNotFound => "Give the operation_id or call_id of an answer.",
            Self::NotFound => "Give the id as the lists show it.",
            Self::VmStateBlocked => "Bring the VM into a state that allows it, and call again.",
            Self::VmCommandInProgress => "Wait for it or cancel it.",
            Self::Conflict => "Look at how it is now, and decide anew.",
            Self::IdempotencyConflict => "Use another idempotency_key for other arguments.",
            Self::AlreadyDelivered => "If the secret is lost, revoke what was made, and call with another idempotency_key.",
            Self::SecondPersonRequired => "Another person has to do it.",
            Self::GuestAgentUnavailable => "Call again once the guest has started and its agent runs.",
            Self::Timeout => "Look at what was done before you call again, with more time or less to do.",
            Self::SearchTimedOut => "Give a shorter time or more conditions.",
            Self::Cancelled => "Look at what was done before it was cancelled, if you call again.",
            Self::OutcomeUnknown => "Look whether it happened before you call again.",
            Self::UpstreamError => {
                "Look at how the VM is before you call again; if it stays so, tell the operator the call's id."
            }
            Self::UpstreamUnreachable => "Nothing was sent. Call again in a while.",
            Self::NotImplemented => "It has to be done another way: the provider does not have it.",
            Self::InternalError => "Tell the operator the call's id: the fault is Forelog's.",
        }
    }

    /// What is said of a held call that ended with this code, if nothing more is known.
    #[must_use]
    pub fn of_held(self) -> &'static str {
        match self {
            Self::ApprovalExpired => "Nobody approved it in time.",
            Self::ApprovalRejected => "A person rejected it.",
            Self::ApprovalSuperseded => "What a person approved is not what would be done now.",
            Self::KillSwitchEngaged => "The operator has stopped this kind of call.",
            _ => "It was held for a person, and refused when it was decided again.",
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
