//! Why a call was refused, in a sentence, what its caller was told, and where that can be looked at or changed.

use serde_json::Value;

use super::address::encoded;
use super::engaged::engaged;
use super::format::escape_hidden;
use super::request::SignedInRequest;
use crate::core::code::Code;
use crate::core::noun::vm::VM;
use crate::tools::{AdministrationQuery, CallRecord, CallTimeline};

/// Why a call was refused.
pub struct Why {
    /// In a sentence.
    pub sentence: String,
    /// What the caller was told, where that is recorded or follows from it.
    pub told: Option<String>,
    /// Where it is decided, and what that is.
    pub place: Option<(String, String)>,
}

/// Why a call was refused; none if it was not.
pub async fn why(request: &SignedInRequest, record: &CallRecord, timeline: &CallTimeline) -> Option<Why> {
    let code = record.code.as_deref().filter(|_| record.status.as_str() == "refused")?;
    let known: Option<Code> = serde_json::from_value(Value::String(code.to_owned())).ok();
    // Of a call that waited its answer is recorded; of any other it follows from the code and the switch.
    let answered = timeline.result.as_ref().and_then(|result| result["error"]["message"].as_str()).map(escape_hidden);
    let told = match (answered, &record.switch) {
        (Some(text), _) => Some(text),
        (None, Some(switch)) => message(request, switch).await,
        (None, None) => None,
    };
    Some(Why {
        sentence: known.map_or_else(|| format!("Refused with the code {code}."), |code| sentence(code).to_owned()),
        told,
        place: place(request, record, known),
    })
}

/// What a switch tells those whom it stops, in force or not.
async fn message(request: &SignedInRequest, switch: &str) -> Option<String> {
    let (state, visibility) = (request.http.gateway.state(), request.visibility());
    let query = AdministrationQuery {
        concerns: visibility.concerns(&state),
        visibility,
        state,
        kind: Some("switch_engaged".into()),
        subject: Some(switch.to_owned()),
        limit: 1,
        ..AdministrationQuery::default()
    };
    let found = request.http.gateway.control().ports.activity.administration(query).await.ok()?;
    let note = &found.items.first()?.note;
    note["message"].as_str().or_else(|| note.as_str()).map(escape_hidden)
}

/// A code as whoever reads a call says it. Any other is said by what the table of codes says of it.
fn sentence(code: Code) -> &'static str {
    match code {
        Code::KillSwitchEngaged => "A kill switch covers this call.",
        Code::PolicyDenied => "A policy forbids this call, or none permits it.",
        Code::PolicyUnsettled => "The policies kept changing while the call was decided.",
        Code::RateLimited => "The limit was reached: as many calls as fit were let through already.",
        Code::QuotaExceeded => "The account or the key has as many as it may have.",
        Code::ConfirmationRequired => "The call interrupts service or destroys data, and did not say that this is intended.",
        Code::PhraseMismatch => "The confirmation was not the exact phrase.",
        Code::LabelMismatch => "The label that was expected is not the VM's label.",
        Code::ApprovalRequired => "A person has to approve it first, and the caller could not wait.",
        Code::ApprovalRejected => "A person rejected it.",
        Code::ApprovalExpired => "Nobody approved it in time.",
        Code::ApprovalSuperseded => "What was approved is not what would have been done.",
        Code::McpExecDisabled => "Command execution is off on this VM.",
        Code::ForbiddenScope => "The key does not have the permission that this tool needs.",
        Code::ForbiddenRole => "The role of the caller does not allow it.",
        Code::ForbiddenResource => "The key may not use this VM.",
        Code::ReadOnlyMode => "The key or the endpoint is read-only.",
        Code::IpNotAllowed => "The key may not be used from this address.",
        Code::TokenExpired | Code::TokenRevoked => "The key was no longer valid.",
        Code::ValidationFailed => "The arguments do not fit what the tool takes.",
        Code::UnknownTool => "There is no tool of this name for this caller.",
        Code::VmNotFound => "There is no such VM for this caller.",
        Code::VmCommandInProgress => "Another command was running on this VM.",
        Code::VmStateBlocked => "The state of the VM did not allow it.",
        Code::IdempotencyConflict => "The idempotency key was used before with other arguments.",
        Code::ControlStateUnreadable => "State that the decision needs could not be read, so nothing was done.",
        Code::ClockSkew => "The clock of the server was too far from the time of the log.",
        _ => code.meaning(),
    }
}

/// Where whoever looks can see or change what refused it.
fn place(request: &SignedInRequest, record: &CallRecord, code: Option<Code>) -> Option<(String, String)> {
    let staff = request.is_staff();
    let at = |href: String, text: &str| Some((href, text.to_owned()));
    if let Some(switch) = &record.switch {
        let page = if staff {
            format!("/console/switches/{}", encoded(switch))
        } else {
            format!("/console/events?subject={}", encoded(switch))
        };
        let (state, now) = (request.http.gateway.state(), request.http.gateway.control().ports.clock.now());
        let row = switch.parse().ok().and_then(|id| state.switches.get(&id));
        let name = row.map(|row| engaged(row, &state, staff, now).stops);
        return at(page, name.as_deref().unwrap_or("The switch"));
    }
    match code? {
        Code::PolicyDenied => at("#steps".into(), record.policy.as_ref().map_or("The decision", |_| "The policy")),
        Code::RateLimited if staff => at(format!("/console/accounts/{}", record.account), "The limits of the account"),
        Code::RateLimited => at("/console/#limits".into(), "The limits"),
        Code::ApprovalRequired | Code::ApprovalRejected | Code::ApprovalExpired | Code::ApprovalSuperseded => {
            at("/console/approvals".into(), "Approvals")
        }
        Code::McpExecDisabled => {
            let id = record.about(&VM)?;
            let label = request.http.gateway.state().vm(id).map(|row| escape_hidden(&row.label));
            at(format!("/console/vms/{id}"), label.as_deref().unwrap_or("The VM"))
        }
        Code::ForbiddenScope | Code::ForbiddenResource | Code::ReadOnlyMode | Code::TokenExpired | Code::TokenRevoked => {
            if staff {
                at(format!("/console/credentials/{}", encoded(&record.credential)), "The key")
            } else {
                at("/console/keys".into(), "Keys")
            }
        }
        _ => None,
    }
}
