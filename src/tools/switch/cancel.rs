//! `call_cancel`: the staff end one call that waits or runs, of whatever account, on whatever node.
//!
//! INVARIANT: that it was asked for is an event of the call, which its customer reads, before anything is ended. A call that
//! runs is told by its job row, which every node looks at when the log has grown; it ends as its handler says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::{Outcome, Status};
use crate::core::code::Code;
use crate::core::event::{Ended, Kind};
use crate::core::id::CallId;
use crate::core::job::Job;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::log::admission::job_row;
use crate::log::closing::Closing;
use crate::log::draft::{Draft, NewEvent};
use crate::log::store::{StoreError, Want};
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::write;
use crate::tools::register::facts_of;

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
    let row = job_row(&call);
    let rows = execution.ports.reader.store.state_rows(std::slice::from_ref(&row)).await?;
    let known: Option<Job> = rows.first().and_then(|row| serde_json::from_slice(&row.doc).ok());
    let names = known.iter().flat_map(Closing::depends_on).chain([row]).collect();
    let asking = Asking::of(&execution, call.clone());
    let want = Want { names, calls: vec![call.clone()], ..Want::default() };
    let (status, changed) = write(&execution, want, move |draft| asking.clone().write(draft)).await?;
    if status == Status::Cancelled && known.is_some_and(|job| job.sealed) {
        execution.ports.forget_seals(std::slice::from_ref(&call)).await;
    }
    Ok(Output { id: call, status, changed })
}

/// A wish to end a call, on its way into the log.
#[derive(Clone)]
struct Asking {
    call: CallId,
    asked: NewEvent,
    end: Closing,
}

impl Asking {
    fn of(execution: &Execution, call: CallId) -> Self {
        let (ports, who) = (&execution.ports, &execution.principal);
        let kind = Kind::CancelRequested { call: call.clone(), by: who.user.clone(), credential: who.credential.clone() };
        let end = Closing {
            id: ports.event_id(),
            status: Status::Cancelled,
            ended: Ended::of(call.clone(), ports.node.clone(), Some(Code::Cancelled)),
            parts: Vec::new(),
            depends: Vec::new(),
            notes_late: false,
            run_by: None,
        };
        Self { asked: NewEvent::plain(ports.event_id(), kind), call, end }
    }

    fn write(self, draft: &mut Draft) -> Result<Result<(Status, bool), Refusal>, StoreError> {
        let row = job_row(&self.call);
        let Some(mut job) = draft.stoppable(&self.call, facts_of)? else { return Ok(Err(not_open())) };
        if let Some(refusal) = refusal(&job) {
            return Ok(Err(refusal));
        }
        if job.cancel_asked {
            return Ok(Ok((job.status, false)));
        }
        job.last = draft.append(job.last, self.asked)?;
        job.cancel_asked = true;
        draft.put(&row, &job)?;
        if job.status == Status::Queued {
            draft.close(self.end)?;
            return Ok(Ok((Status::Cancelled, true)));
        }
        Ok(Ok((job.status, true)))
    }
}

/// Why this call cannot be cancelled.
fn refusal(job: &Job) -> Option<Refusal> {
    let conflict = |text: String| Some(Refusal::new(Code::Conflict, text));
    match &job.joins {
        _ if facts_of(&job.tool).is_some_and(|tool| tool.stops) => conflict("What stops something is not stopped.".into()),
        _ if job.status == Status::Held => conflict("It waits for a person, who can reject it.".into()),
        Some(first) => conflict(format!("It ends as {first} ends.")),
        None => None,
    }
}

fn not_open() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such call that waits or runs.")
}
