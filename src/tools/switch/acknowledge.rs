//! `alarm_acknowledge`: a person of the staff says that they have seen what was done to a switch on the data itself.
//!
//! INVARIANT: it changes nothing but what pages say of the alarm. The event that it answers stays, and so does its day.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::call::Outcome;
use crate::core::commands::alarm::Acknowledge;
use crate::core::engagement::{REASON, check_reason_if_any};
use crate::core::id::{Epoch, Position, SwitchId, UserId};
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::record::{change, note};

pub(super) static ACKNOWLEDGE: Operation<Args, Output> = administration("alarm_acknowledge")
    .scope(Scope::StaffSwitch)
    .stops()
    .administers()
    .title("Acknowledge an alarm")
    .about(
        "Records that a person has seen a switch that was engaged or released on the data itself (break-glass). The alarm \
         stays for its day and names that person.",
    )
    .rest(Route::post("/alarms/{alarm}/acknowledge"))
    .run(|execution, args| Box::pin(acknowledge(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// Position of the event that raised the alarm: switch_engaged, switch_released or release_ramped.
    #[schemars(extend("x-class" = Public), range(min = 1, max = Epoch::MAX_COUNT.0))]
    alarm: Position,
    /// What was found out about it, for staff.
    #[schemars(extend("x-class" = Content), length(min = 1, max = REASON))]
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// Position of the event that raised the alarm.
    #[schemars(extend("x-class" = Public))]
    alarm: Position,
    /// The switch that it is about.
    #[schemars(extend("x-class" = Public))]
    switch: SwitchId,
    /// Who acknowledged it.
    #[schemars(extend("x-class" = Public))]
    by: UserId,
}

async fn acknowledge(execution: Execution, Args { alarm, reason }: Args) -> Result<Output, Outcome> {
    check_reason_if_any(reason.as_deref())?;
    let who = &execution.principal;
    let note = note(&execution, &who.account, json!({ "reason": reason })).await?;
    let (by, credential, event) = (who.user.clone(), who.credential.clone(), note.id());
    let command = Acknowledge { alarm, by: by.clone(), credential, event };
    let switch = change(&execution, [note], command).await?.answer;
    Ok(Output { alarm, switch, by })
}
