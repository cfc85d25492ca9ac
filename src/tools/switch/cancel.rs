//! `call_cancel`: the staff end one call that waits or runs, of whatever account, on whatever node.
//!
//! INVARIANT: that it was asked for is an event of the call, which its customer reads, before anything is ended. A call that
//! runs is told by its job row, which every node looks at when the log has grown; it ends as its handler says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::{Outcome, Status};
use crate::core::id::CallId;
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::log::cancel::Wish;
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
    let ports = &execution.ports;
    let known = ports.reader.job(&call).await?;
    let is_sealed = known.as_ref().is_some_and(|job| job.sealed);
    let wish = Wish { call: call.clone(), known, node: ports.node.clone(), facts: ports.facts };
    let (author, ids, by) = (execution.author(), execution.ids(), execution.principal.clone());
    let asked = ports.writer.ask_to_end(author, ids, wish, by).await?;
    let (status, changed) = asked.map_err(Outcome::Failed)?;
    if status == Status::Cancelled && is_sealed {
        ports.forget_seals(std::slice::from_ref(&call)).await;
    }
    Ok(Output { id: call, status, changed })
}
