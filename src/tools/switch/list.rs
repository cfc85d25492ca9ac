//! `switch_list`: the switches in force.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::call::Outcome;
use crate::core::id::{SwitchId, UserId};
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::scope::Scope;
use crate::core::switch::{Running, Switch, Target};
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::page::{largest, page};
use crate::tools::record::fresh;

pub(super) static LIST: Operation<Args, Output> = administration("switch_list")
    .scope(Scope::StaffSwitch)
    .stops()
    .title("List kill switches")
    .about("Lists the switches in force, with who engaged them and why.")
    .rest(Route::get("/switches"))
    .run(|execution, args| Box::pin(list(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// At most so many.
    #[serde(default = "largest")]
    #[schemars(extend("x-class" = Public), range(min = 1, max = 200))]
    limit: usize,
    /// next_cursor of the page before.
    #[schemars(extend("x-class" = Public))]
    cursor: Option<SwitchId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The switches in force, oldest first.
    #[schemars(extend("x-class" = Content))]
    items: Vec<Listed>,
    /// Where the next page begins, if there is one.
    #[schemars(extend("x-class" = Public))]
    next_cursor: Option<SwitchId>,
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    /// The switch.
    id: SwitchId,
    /// What it stops.
    #[schemars(with = "String")]
    target: Target,
    /// Why, for staff.
    reason: String,
    /// What a refused caller is told.
    message: Option<String>,
    /// Who engaged it; null if an agent stopped itself.
    by: Option<UserId>,
    /// Reference of the incident.
    incident: Option<String>,
    /// What becomes of calls that run.
    running: Running,
    /// Since when.
    engaged_at: Instant,
    /// It ends by itself then.
    expires_at: Option<Instant>,
    /// How it lets go, if it is being released step by step.
    ramp: Option<Ramp>,
    /// Who has asked for its release.
    release_requested_by: Option<UserId>,
    /// It takes two persons to release it.
    needs_second_person: bool,
}

#[derive(Serialize, JsonSchema)]
struct Ramp {
    /// It has let go of nobody then.
    since: Instant,
    /// It has let go of everybody then.
    until: Instant,
}

async fn list(execution: Execution, Args { limit, cursor }: Args) -> Result<Output, Outcome> {
    let (state, now) = (fresh(&execution).await?, execution.ports.clock.now());
    let (shown, next_cursor) = page(state.switches_in_force(now).collect(), |switch| &switch.id, limit, cursor.as_ref());
    let items = shown.into_iter().map(|switch| to_listed(switch, state.wish_to_release(switch, now)));
    Ok(Output { items: items.collect(), next_cursor })
}

fn to_listed(switch: &Switch, wish: Option<&UserId>) -> Listed {
    Listed {
        id: switch.id.clone(),
        target: switch.target.clone(),
        reason: switch.reason.clone(),
        message: switch.message.clone(),
        by: switch.by.clone(),
        incident: switch.incident.clone(),
        running: switch.running,
        engaged_at: switch.engaged_at.into(),
        expires_at: switch.expires_at.map(Instant),
        ramp: switch.ramp.map(|ramp| Ramp { since: ramp.since.into(), until: ramp.until.into() }),
        release_requested_by: wish.cloned(),
        needs_second_person: switch.target.is_global(),
    }
}
