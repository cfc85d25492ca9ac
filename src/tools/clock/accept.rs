//! `clock_accept`: staff say that this node's clock is right, where nothing else does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::call::Outcome;
use crate::core::clock::Proposed;
use crate::core::engagement::{REASON, check_reason};
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::record::note;

/// It goes on while calls are refused because of the clock: it is the way out.
pub(super) static ACCEPT: Operation<Args, Output> = administration("clock_accept")
    .scope(Scope::StaffSwitch)
    .stops()
    .administers()
    .title("Accept the clock")
    .about(
        "Says that this server's clock is right, so that the log goes on by it after calls were refused with clock_skew. It is \
         recorded. A log that is ahead of the clock is accepted by its owner, on the data.",
    )
    .rest(Route::post("/clock"))
    .run(|execution, args| Box::pin(accept(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// What time it is, from another clock than this server's. They may be two minutes apart. RFC 3339, such as 2026-07-28T12:00:00Z, or a date.
    #[schemars(extend("x-class" = Public))]
    time: Instant,
    /// Why, for staff.
    #[schemars(extend("x-class" = Content), length(min = 1, max = REASON))]
    reason: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// What the clock says that was accepted.
    #[schemars(extend("x-class" = Public))]
    time: Instant,
    /// The log's time from then on.
    #[schemars(extend("x-class" = Public))]
    log_time: Instant,
}

async fn accept(execution: Execution, Args { time, reason }: Args) -> Result<Output, Outcome> {
    check_reason(&reason)?;
    let who = &execution.principal;
    let proposed = Proposed { clock: execution.ports.clock.now(), named: time.0, owner: false };
    let (author, by) = (execution.author(), Some((who.user.clone(), who.credential.clone())));
    let note = note(&execution, &who.account, json!({ "reason": reason })).await?;
    let accepted = execution.ports.writer.accept_clock(author, note, proposed, by).await?;
    let log = accepted.map_err(Outcome::Failed)?;
    Ok(Output { time: proposed.clock.into(), log_time: log.into() })
}
