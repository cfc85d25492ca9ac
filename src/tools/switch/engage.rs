//! `switch_engage`: a person stops what a target covers, on every node.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::drain::{self, Engagement};
use super::fenced::{self, NodeStanding};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::switch::Again;
use crate::core::engagement::{INCIDENT, MESSAGE, Proposed, REASON};
use crate::core::id::{Epoch, SwitchId};
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::switch::{Running, Target, UnknownTarget};
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;

pub(super) static ENGAGE: Operation<Args, Output> = administration("switch_engage")
    .scope(Scope::StaffSwitch)
    .stops()
    .title("Engage a kill switch")
    .about(
        "Stops what the target covers, on every node, and ends the calls that wait. fenced says that no node starts any of it \
         any more.",
    )
    .rest(Route::post("/switches").created())
    .run(|execution, args| Box::pin(engage(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// What to stop: all, class:exec|write|destroy, tool:NAME, provider:NAME, account:ID, credential:ID, vm:ID or vm:ID/exec.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 120))]
    target: String,
    /// Why, for staff.
    #[schemars(extend("x-class" = Content), length(min = 1, max = REASON))]
    reason: String,
    /// What a refused caller is told.
    #[schemars(extend("x-class" = Content), length(min = 1, max = MESSAGE))]
    message: Option<String>,
    /// Reference of the incident.
    #[schemars(extend("x-class" = Content), length(min = 1, max = INCIDENT))]
    incident: Option<String>,
    /// When it ends by itself. RFC 3339, such as 2026-07-28T12:00:00Z, or a date.
    #[schemars(extend("x-class" = Public))]
    expires_at: Option<Instant>,
    /// What becomes of calls that run: let_finish or cancel.
    #[serde(default = "let_finish")]
    #[schemars(extend("x-class" = Public))]
    running: Running,
}

fn let_finish() -> Running {
    Running::LetFinish
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The switch.
    #[schemars(extend("x-class" = Public))]
    id: SwitchId,
    /// What it stops.
    #[schemars(extend("x-class" = Public), with = "String")]
    target: Target,
    /// Every admission at or after this epoch knows the switch.
    #[schemars(extend("x-class" = Public))]
    epoch: Epoch,
    /// No node starts what it covers any more.
    #[schemars(extend("x-class" = Public))]
    fenced: bool,
    /// Each node: confirmed, and when; or expired, because its lease ran out; or still waited for.
    #[schemars(extend("x-class" = Public))]
    nodes: Vec<NodeStanding>,
    /// How many calls it ended: those that waited, and with running=cancel those that ran, which were told to end.
    #[schemars(extend("x-class" = Public))]
    cancelled: usize,
}

async fn engage(execution: Execution, args: Args) -> Result<Output, Outcome> {
    let Args { target, reason, message, incident, expires_at, running } = args;
    let target: Target =
        target.parse().map_err(|error: UnknownTarget| Refusal::new(Code::ValidationFailed, error.to_string()))?;
    let expires_at = expires_at.map(|end| end.0);
    let proposed = Proposed { target: target.clone(), reason, message, incident, expires_at };
    let engaged = drain::engage(&execution, true, vec![Engagement { proposed, running, again: Again::Another }]).await?;
    let fenced = fenced::wait(&execution, engaged.epoch).await.ok();
    let missing = || Refusal::new(Code::InternalError, "The switch was engaged and cannot be named.");
    Ok(Output {
        id: engaged.switches.into_iter().next().ok_or_else(missing)?,
        target,
        epoch: engaged.epoch,
        fenced: fenced.as_ref().is_some_and(fenced::Fenced::is_complete),
        nodes: fenced.map_or_else(Vec::new, |fenced| fenced.nodes()),
        cancelled: engaged.cancelled,
    })
}
