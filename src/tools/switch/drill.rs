//! `switch_drill`: the switches are tried, the whole way, on a key of the house's own that nobody else can use.
//!
//! ```text
//! canary made ─▶ its call passes ─▶ switch engaged while it calls on ─▶ first refusal ─▶ fenced ─▶ none passes ─▶ released ─▶ its call passes
//! ```
//!
//! INVARIANT: everything a drill does is a call like any other, and its figures are those of this log and these nodes. The
//! canary's secret is forgotten before its key is in the log; it is revoked at the end, and ends by itself if there is none.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::canary::Canary;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::notice::{Notice, Notify};
use crate::core::event::{DrillCompleted, DrillFault};
use crate::core::id::{Position, SwitchId};
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Nothing, Operation, Route, administration};
use crate::tools::record::change;

/// How long the canary's first refusal is waited for, from when the switch was asked for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls that must be refused after the switch is fenced.
const PROBES: usize = 10;

/// The switch of a drill that never came to its end stops by itself.
const LASTS: Duration = Duration::from_mins(5);

pub(super) static DRILL: Operation<Nothing, Output> = administration("switch_drill")
    .scope(Scope::StaffSwitch)
    .title("Drill the kill switches")
    .about(
        "Engages and releases a switch on a key made for it while that key calls, and records how long it took. No customer is \
         touched.",
    )
    .rest(Route::post("/switches/drill"))
    .run(|execution, _| Box::pin(drill(execution)));

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The switch did what it is for.
    #[schemars(extend("x-class" = Public))]
    passed: bool,
    /// What it did not do: nothing_passed, not_refused, admitted_late, not_fenced or not_released.
    #[schemars(extend("x-class" = Public))]
    failed: Option<DrillFault>,
    /// Nodes that confirmed the switch.
    #[schemars(extend("x-class" = Public))]
    nodes: u64,
    /// From asking for the switch to the first refusal.
    #[schemars(extend("x-class" = Public))]
    refused_after_us: Option<u64>,
    /// From asking for the switch until every node had confirmed it.
    #[schemars(extend("x-class" = Public))]
    fenced_after_us: Option<u64>,
    /// Calls that were let through after the switch; none, if it works.
    #[schemars(extend("x-class" = Public))]
    admitted_after: Option<u64>,
}

async fn drill(execution: Execution) -> Result<Output, Outcome> {
    let canary = Canary::make(&execution).await?;
    let mut told = DrillCompleted::begun(execution.call().clone(), execution.principal.user.clone(), canary.credential.clone());
    told.failed = run(&execution, &canary, &mut told).await.err();
    canary.revoke(&execution).await?;
    let output = Output {
        passed: told.failed.is_none(),
        failed: told.failed,
        nodes: told.nodes,
        refused_after_us: told.refused_after_us,
        fenced_after_us: told.fenced_after_us,
        admitted_after: told.admitted_after,
    };
    change(&execution, None, Notify { notice: Notice::DrillCompleted(told), event: None }).await?;
    Ok(output)
}

/// The drill itself; what it finds goes into `told` as soon as it is found.
async fn run(execution: &Execution, canary: &Canary, told: &mut DrillCompleted) -> Result<(), DrillFault> {
    let clock = &execution.ports.clock;
    let before = head(execution).await.ok_or(DrillFault::NothingPassed)?;
    if canary.call(execution).await != Ok(()) {
        return Err(DrillFault::NothingPassed);
    }
    let begun = clock.elapsed();
    let since = || micros(clock.elapsed().saturating_sub(begun));
    let engaging = async { (engage(execution, canary).await, since()) };
    let refusing = async { (first_refusal(execution, canary, begun).await, since()) };
    let ((engaged, answered), (is_refused, refused)) = tokio::join!(engaging, refusing);
    let engaged = engaged.ok_or(DrillFault::NotRefused)?;
    let switch: SwitchId = engaged["id"].as_str().and_then(|id| id.parse().ok()).ok_or(DrillFault::NotRefused)?;
    told.switch = Some(switch.clone());
    told.nodes = engaged["nodes"].as_array().map_or(0, |nodes| nodes.len() as u64);
    told.refused_after_us = is_refused.then_some(refused);
    told.fenced_after_us = (engaged["fenced"] == true).then_some(answered);
    let mut passed_late = false;
    for _ in 0..PROBES {
        passed_late |= canary.call(execution).await != Err(Code::KillSwitchEngaged);
    }
    told.admitted_after = canary.admitted_under(execution, &switch, before).await;
    let released = release(execution, &switch).await && canary.call(execution).await == Ok(());
    match told {
        _ if !is_refused => Err(DrillFault::NotRefused),
        _ if passed_late => Err(DrillFault::AdmittedLate),
        DrillCompleted { admitted_after: Some(1..) | None, .. } => Err(DrillFault::AdmittedLate),
        DrillCompleted { fenced_after_us: None, .. } => Err(DrillFault::NotFenced),
        _ if !released => Err(DrillFault::NotReleased),
        _ => Ok(()),
    }
}

/// Calls until the first refusal by the switch; false if there is none in time.
async fn first_refusal(execution: &Execution, canary: &Canary, begun: Duration) -> bool {
    while execution.ports.clock.elapsed().saturating_sub(begun) < TIMEOUT {
        match canary.call(execution).await {
            Ok(()) => {}
            Err(code) => return code == Code::KillSwitchEngaged,
        }
    }
    false
}

async fn engage(execution: &Execution, canary: &Canary) -> Option<Value> {
    let ends = execution.ports.clock.now().plus(LASTS).document();
    let args = json!({
        "target": format!("credential:{}", canary.credential),
        "reason": format!("Drill {}.", execution.call()),
        "message": "A drill of the kill switches.",
        "expires_at": ends,
    });
    execution.call_as_caller("switch_engage", args).await
}

async fn release(execution: &Execution, switch: &SwitchId) -> bool {
    let args = json!({ "id": switch, "reason": format!("The end of drill {}.", execution.call()) });
    execution.call_as_caller("switch_release", args).await.is_some()
}

async fn head(execution: &Execution) -> Option<Position> {
    execution.ports.reader.store.head().await.ok().map(|head| head.position)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
