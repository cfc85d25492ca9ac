//! `call_cancel`: the staff end one call that waits or runs, of whatever account, on whatever node.
//!
//! INVARIANT: that it was asked for is an event of the call, which its customer reads, before anything is ended. A call that
//! runs is told by its job row, which every node looks at when the log has grown; it ends as its handler says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::CallId;
use crate::core::job::Job;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;
use crate::log::cancel::Wish;
use crate::log::draft::NewEvent;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};

pub(super) static CANCEL: Operation<Args, Output> = administration("call_cancel")
    .scope(Scope::StaffSwitch)
    .stops()
    .title("Cancel a call")
    .about(
        "Ends a call that waits for a worker or runs, of any account. The request is an event of the call that its customer \
         sees.",
    )
    .rest(Route::post("/calls/{id}/cancel"))
    .run(|execution, args| Box::pin(cancel(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The call.
    #[schemars(extend("x-class" = Public))]
    id: CallId,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The call.
    #[schemars(extend("x-class" = Public))]
    id: CallId,
    /// How it stands: cancelled, or running until its handler has ended it.
    #[schemars(extend("x-class" = Public))]
    status: Status,
    /// It was this call that asked for its end.
    #[schemars(extend("x-class" = Public))]
    changed: bool,
}

async fn cancel(execution: Execution, Args { id: call }: Args) -> Result<Output, Outcome> {
    let (ports, who) = (&execution.ports, &execution.principal);
    let known = ports.reader.job(&call).await?;
    let is_sealed = known.as_ref().is_some_and(|job| job.sealed);
    let kind = Kind::CancelRequested { call: call.clone(), by: who.user.clone(), credential: who.credential.clone() };
    let asked = NewEvent::plain(ports.event_id(), kind);
    let wish = Wish { call: call.clone(), known, node: ports.node.clone(), id: ports.event_id(), facts: ports.facts };
    let written = ports.writer.ask_to_end(execution.acting(), wish, asked, refusal).await?;
    let (status, changed) = written.map_err(Outcome::Failed)?;
    if status == Status::Cancelled && is_sealed {
        ports.forget_seals(std::slice::from_ref(&call)).await;
    }
    Ok(Output { id: call, status, changed })
}

/// Why this call cannot be cancelled.
fn refusal(job: Option<&Job>, tool: Option<&ToolFacts>) -> Option<Refusal> {
    let Some(job) = job else {
        return Some(Refusal::new(Code::NotFound, "There is no such call that waits or runs."));
    };
    let conflict = |text: String| Some(Refusal::new(Code::Conflict, text));
    match &job.joins {
        _ if tool.is_some_and(|tool| tool.stops) => conflict("What stops something is not stopped.".into()),
        _ if job.status == Status::Held => conflict("It waits for a person, who can reject it.".into()),
        Some(first) => conflict(format!("It ends as {first} ends.")),
        None => None,
    }
}
