//! Answering a held call on its own page: the form for who may, and what has been answered.
//!
//! INVARIANT: the form is a convenience. Whether somebody may answer is decided by `approval_decide`, as for every other door.

use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::form::Posted;
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::approval::Approval;
use crate::core::call::Status;
use crate::core::code::Code;
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

/// An answer. Who comes too late is led to the call as it stands.
pub async fn submit(Path(id): Path<String>, Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let shown: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    check_said_why(&request, &format!("/console/calls/{shown}"))?;
    let verdict = fields.choice("verdict", &["reject", "approve"])?;
    let mut args = json!({ "id": id, "verdict": verdict });
    if !fields.text("reason").is_empty() {
        args["reason"] = json!(fields.text("reason"));
    }
    match request.done("approval_decide", args).await {
        Ok(_) => {}
        Err(refusal) if refusal.code == Code::Conflict => {}
        Err(refusal) => return Err(refusal.into()),
    }
    Ok(Redirect::to(&format!("/console/calls/{shown}#answered")).into_response())
}
