//! `switch_release`: ends a switch, at once or step by step. Releasing one that stops every customer takes a second person.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::call;
use crate::core::commands::switch::{Release, Released, Releaser};
use crate::core::engagement::REASON;
use crate::core::id::{SwitchId, UserId};
use crate::core::ramp::Ramp;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::record::{change, note};

/// The longest ramp, in minutes.
const MAX_MINUTES: u64 = Ramp::MAX_DURATION.as_secs() / 60;

pub(super) static RELEASE: Operation<Args, Output> = administration("switch_release")
    .scope(Scope::StaffSwitch)
    .stops()
    .administers()
    .title("Release a kill switch")
    .about(
        "Ends a switch, at once or step by step. One that stops every customer is released by another person than the one who \
         engaged it; if no person engaged it, by two persons: the first of them asks for it.",
    )
    .waits_for_a_person("outcome", REQUESTED)
    .rest(Route::post("/switches/{id}/release"))
    .run(|execution, args| Box::pin(release(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The switch.
    #[schemars(extend("x-class" = Public))]
    id: SwitchId,
    /// Why, for staff.
    #[schemars(extend("x-class" = Content), length(min = 1, max = REASON))]
    reason: Option<String>,
    /// Let keys through again one after the other, all of them after so many minutes; at once if absent.
    #[schemars(extend("x-class" = Public), range(min = 1, max = MAX_MINUTES))]
    ramp_minutes: Option<u64>,
}

/// What became of a wish to release.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Released,
    Ramping,
    ReleaseRequested,
}

/// The outcome of a release that waits for a second person.
const REQUESTED: &str = "release_requested";

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The switch.
    #[schemars(extend("x-class" = Public))]
    id: SwitchId,
    /// released: it stops nothing any more. ramping: it lets go step by step. release_requested: a second person has to release it.
    #[schemars(extend("x-class" = Public))]
    outcome: Outcome,
    /// It stops nothing any more; false while it lets go step by step, or waits for a second person.
    #[schemars(extend("x-class" = Public))]
    released: bool,
    /// When it lets everybody through, if it lets go step by step.
    #[schemars(extend("x-class" = Public))]
    until: Option<Instant>,
    /// The person who released it, or asked for it first.
    #[schemars(extend("x-class" = Public))]
    by: UserId,
    /// The second person, if it took one to ask and one to agree.
    #[schemars(extend("x-class" = Public))]
    second: Option<UserId>,
    /// Who can be the second person, while one is waited for.
    #[schemars(extend("x-class" = Public))]
    needs: Option<&'static str>,
}

/// Who can release what a person has asked to be released.
const SECOND: &str =
    "Another person of the staff releases it, who did not come by you, nor you by them, lately. Until then it stops what it did.";

async fn release(execution: Execution, Args { id, reason, ramp_minutes }: Args) -> Result<Output, call::Outcome> {
    let who = &execution.principal;
    let note = note(&execution, &who.account, json!({ "reason": reason, "ramp_minutes": ramp_minutes })).await?;
    let command = Release {
        switch: id.clone(),
        by: Releaser::Person(who.user.clone(), who.credential.clone()),
        over: ramp_minutes.map(Duration::from_mins),
        reason,
        event: note.id(),
    };
    let me = who.user.clone();
    Ok(match change(&execution, [note], command).await?.answer {
        Released::Now { by, second, until: None } => {
            let (outcome, by) = (Outcome::Released, by.unwrap_or(me));
            Output { id, outcome, released: true, until: None, by, second, needs: None }
        }
        Released::Now { by, second, until } => {
            let (outcome, by, until) = (Outcome::Ramping, by.unwrap_or(me), until.map(Instant));
            Output { id, outcome, released: false, until, by, second, needs: None }
        }
        Released::Asked => {
            let outcome = Outcome::ReleaseRequested;
            Output { id, outcome, released: false, until: None, by: me, second: None, needs: Some(SECOND) }
        }
    })
}
