//! Answering a held call, in the inbox and on its own page: who is offered the form, and what it does.
//!
//! INVARIANT: the form is a convenience. Whether somebody may answer is decided by `approval_decide`, as for every other door.

use serde_json::json;

use super::form::Fields;
use super::form_state::{Argument, FormState};
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::approval::Approval;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::second_person::InviteHistory;
use crate::log::hold::approval_row;
use crate::tools::CallRecord;

/// What whoever looks can say to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// Nothing: it does not wait, or they may not.
    No,
    /// Yes or no.
    Open,
    /// They have said yes, and somebody else has to.
    Said,
}

/// Refuses staff who have not said why they look into what customers' agents are about to do.
pub fn check_said_why(request: &SignedInRequest, next: &str) -> Result<(), PageError> {
    if request.is_staff() && request.reason.is_none() {
        return Err(PageError::NoReason { next: next.to_owned() });
    }
    Ok(())
}

/// What this person can say to the call now.
pub async fn answering(request: &SignedInRequest, record: &CallRecord) -> Answering {
    if record.status != Status::Held || !request.may_approve() {
        return Answering::No;
    }
    let ports = &request.http.gateway.control().ports;
    let rows = ports.reader.store.state_rows(&[approval_row(&record.account, &record.call_id)]).await.unwrap_or_default();
    let row = rows.first().and_then(|row| serde_json::from_slice::<Approval>(&row.doc).ok());
    let (state, Ok(Some(chain))) = (request.http.gateway.state(), ports.reader.chain(&record.call_id).await) else {
        return Answering::No;
    };
    let now = ports.clock.now();
    let Some(mut approval) = row.and_then(|row| chain.approval(row).ok()).map(|approval| approval.standing(&state, now)) else {
        return Answering::No;
    };
    if approval.consents.iter().any(|consent| consent.by == request.principal.user) {
        return Answering::Said;
    }
    let known = InviteHistory { state: &state, now, newcomer: state.newcomer(now) };
    if approval.consent(&request.principal, known).is_ok() { Answering::Open } else { Answering::No }
}

/// What an answer is made of, and what that takes.
const ARGUMENTS: [Argument; 1] = [Argument { name: "reason", field: "reason", takes: "A reason has at most 500 characters." }];

/// Answers for a held call as a form says; answers what that has done.
pub async fn submit(request: &SignedInRequest, call: &CallId, fields: &Fields) -> Result<&'static str, PageError> {
    let (verdict, reason) = (fields.text("verdict"), fields.text("reason"));
    if !["approve", "reject"].contains(&verdict) {
        return Err(PageError::Unreadable("An answer approves the call or rejects it."));
    }
    let mut args = json!({ "id": call, "verdict": verdict });
    if !reason.is_empty() {
        args["reason"] = json!(reason);
    }
    let answered = request.done("approval_decide", args).await?;
    Ok(match answered["status"].as_str().unwrap_or_default() {
        "approved" => "Approved. The call is decided again now and runs if nothing refuses it.",
        "rejected" if !reason.is_empty() => "Rejected. The call is refused, and its caller is told the reason.",
        "rejected" => "Rejected. The call is refused.",
        _ => "Your approval is recorded. A second person has to approve before the call runs.",
    })
}

/// The form of an answer that was refused, as its page shows it again; whose it is to answer is said there, too.
pub fn refused(typed: Fields, fault: PageError) -> Result<FormState, PageError> {
    match fault {
        PageError::Refused(refusal) if matches!(refusal.code, Code::SecondPersonRequired | Code::ForbiddenRole) => {
            Ok(FormState::refused(typed, &refusal, &ARGUMENTS))
        }
        other => FormState::of(typed, other, "", &ARGUMENTS),
    }
}
