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
    ConfirmationRequired = "confirmation_required", 422, false;
    /// The expected label is not the VM's label.
    LabelMismatch = "label_mismatch", 422, false;
    /// The confirmation is not the exact phrase.
    PhraseMismatch = "phrase_mismatch", 422, false;
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
    /// What a caller can do who is told no more than this code, where there is one thing to do.
    #[must_use]
    pub fn next_step(self) -> Option<&'static str> {
        match self {
            Self::TokenExpired | Self::TokenRevoked => {
                Some("It will not work again: ask whoever administers keys for another one.")
            }
            Self::ForbiddenScope => Some("Use a key that has this right, or ask whoever administers keys for one."),
            Self::ReadOnlyMode => Some("Use a key, and an endpoint, that may also write."),
            Self::UnknownTool => Some("tools/list over MCP, and /api/v1/openapi.json over REST, name the tools."),
            _ => None,
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
