//! `switch_release`: ends a switch, at once or step by step. Releasing one that stops every customer takes a second person.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::switch::{Release, Released, Releaser};
use crate::core::id::{SwitchId, UserId};
use crate::core::ramp::Ramp;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
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
         engaged it; if no person engaged it, by two persons.",
    )
    .rest(Route::post("/switches/{id}/release"))
    .run(|execution, args| Box::pin(release(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Args {
    /// The switch.
    #[schemars(extend("x-class" = Public))]
    id: SwitchId,
    /// Why, for staff.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 500))]
    reason: Option<String>,
    /// Let keys through again one after the other, all of them after so many minutes; at once if absent.
    #[schemars(extend("x-class" = Public), range(min = 1, max = MAX_MINUTES))]
    ramp_minutes: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The switch.
    #[schemars(extend("x-class" = Public))]
    id: SwitchId,
    /// It stops nothing any more; false while it lets go step by step.
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
}

async fn release(execution: Execution, Args { id, reason, ramp_minutes }: Args) -> Result<Output, Outcome> {
    let who = &execution.principal;
    let note = note(&execution, &who.account, json!({ "reason": reason, "ramp_minutes": ramp_minutes })).await?;
    let command = Release {
        switch: id.clone(),
        by: Releaser::Person(who.user.clone(), who.credential.clone()),
        over: ramp_minutes.map(Duration::from_mins),
        reason,
        event: note.id(),
    };
    match change(&execution, [note], command).await?.answer {
        Released::Now { by, second, until } => {
            let by = by.unwrap_or_else(|| who.user.clone());
            Ok(Output { id, released: until.is_none(), until: until.map(Instant), by, second })
        }
        Released::Asked => Err(Outcome::Failed(second_person())),
    }
}

fn second_person() -> Refusal {
    Refusal::new(Code::SecondPersonRequired, "A second person has to release it; your wish to is noted.")
        .hint("Another person of the staff releases it, who did not come by you, nor you by them, lately.")
}
