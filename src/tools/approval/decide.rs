//! `approval_decide`: a person lets a held call go on, or ends it. Once: who comes second is told so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{may_answer, may_answer_any};
use crate::core::approval::{Approval, Step, decided};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::engagement::{REASON, check_reason_if_any};
use crate::core::id::{AccountId, CallId};
use crate::core::job::Job;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::visibility::Visibility;
use crate::log::admission::job_row;
use crate::log::binding::Binding;
use crate::log::hold::{self, approval_row};
use crate::log::store::StateRow;
use crate::log::vault::SealedPart;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::fresh;

pub(super) static DECIDE: Operation<Args, Output> = administration("approval_decide")
    .scope(Scope::ApprovalsDecide)
    .or(&[Scope::StaffApprove])
    .title("Answer for a held call")
    .about("Approves or rejects a call that waits for a person. An approved call is decided again before it runs.")
    .rest(Route::post("/approvals/{id}"))
    .run(|execution, args| Box::pin(decide(execution, args)));

#[derive(Clone, Copy, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Approve,
    Reject,
}

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The call that waits.
    #[schemars(extend("x-class" = Public))]
    id: CallId,
    /// approve or reject.
    #[schemars(extend("x-class" = Public))]
    verdict: Verdict,
    /// Why. Of a rejection the caller is told.
    #[schemars(extend("x-class" = Content), length(min = 1, max = REASON))]
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The call.
    #[schemars(extend("x-class" = Public))]
    id: CallId,
    /// What was answered.
    #[schemars(extend("x-class" = Public))]
    verdict: Verdict,
    /// approved: it is decided again and goes on if all agrees. held: a second person has to agree. rejected.
    #[schemars(extend("x-class" = Public))]
    status: Standing,
}

/// How the call stands after the answer.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Approved,
    Held,
    Rejected,
}

async fn decide(execution: Execution, Args { id: call, verdict, reason }: Args) -> Result<Output, Outcome> {
    check_reason_if_any(reason.as_deref())?;
    let (job, approval) = find(&execution, &call).await?;
    let approve = verdict == Verdict::Approve;
    let events = [execution.ports.event_id(), execution.ports.event_id()];
    let note = json!({ "reason": reason });
    let said = reason.map_or_else(|| Code::ApprovalRejected.of_held().into(), |reason| format!("A person rejected it: {reason}"));
    let rejected = Refusal::new(Code::ApprovalRejected, said).body(Some(&call));
    let answer = hold::Answer {
        call: call.clone(),
        by: Some(execution.principal.clone()),
        acting: Some(execution.acting()),
        approve,
        note: seal(&execution, &approval.account, Binding::step(&events[0], &call, "approval_decided"), "note", note).await?,
        result: seal(&execution, &approval.account, Binding::step(&events[1], &call, "refused"), "result", rejected).await?,
        events,
    };
    let step = execution.ports.writer.answer(answer, &job).await??;
    if !approve {
        execution.ports.forget_seal(&call).await;
    }
    let status = match (approve, step) {
        (false, _) => Standing::Rejected,
        (true, Step::Granted) => Standing::Approved,
        (true, Step::Waits) => Standing::Held,
    };
    Ok(Output { id: call, verdict, status })
}

async fn seal(
    execution: &Execution,
    account: &AccountId,
    of: Binding,
    part: &str,
    body: Value,
) -> Result<Vec<SealedPart>, Outcome> {
    let (vault, now) = (&execution.ports.reader.vault, execution.ports.clock.now());
    Ok(vec![vault.seal(account, now, of, part, &Scrubbed::of(body)).await?])
}

fn read<T: serde::de::DeserializeOwned>(rows: &[StateRow]) -> Option<T> {
    rows.first().and_then(|row| serde_json::from_slice(&row.doc).ok())
}

/// The call that waits; or that it was decided already, for those who may know.
async fn find(execution: &Execution, call: &CallId) -> Result<(Job, Approval), Outcome> {
    let store = &execution.ports.reader.store;
    let job: Option<Job> = read(&store.state_rows(&[job_row(call)]).await?);
    let approval: Option<Approval> = match &job {
        Some(job) => read(&store.state_rows(&[approval_row(&job.account, call)]).await?),
        None => None,
    };
    let state = fresh(execution).await?;
    match (job, approval) {
        (Some(job), Some(approval)) if may_answer(execution, &state, &approval) => Ok((job, approval)),
        (_, Some(_)) => Err(not_found()),
        _ if was_held(execution, &state, call).await? => Err(decided().into()),
        _ => Err(not_found()),
    }
}

/// Whether the call was held once, and the caller may know that.
async fn was_held(execution: &Execution, state: &ControlState, call: &CallId) -> Result<bool, Outcome> {
    if !may_answer_any(execution, state) {
        return Ok(false);
    }
    let visibility = Visibility::of_approver(&execution.principal, state);
    let Some(timeline) = execution.ports.activity.timeline(&visibility, call).await? else { return Ok(false) };
    Ok(timeline.events.iter().any(|event| event.kind == "held"))
}

fn not_found() -> Outcome {
    Refusal::new(Code::NotFound, "There is no such call that waits for a person.").into()
}
