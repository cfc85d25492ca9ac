//! `switch_release`: ends a switch, at once or step by step. Releasing one that stops every customer takes a second person.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::{Position, SwitchId, UserId};
use crate::core::ramp::Ramp;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::second_person::Acquaintance;
use crate::core::switch::Switch;
use crate::core::time::Micros;
use crate::log::store::Want;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::record::{Record, write};

/// The longest ramp, in minutes.
const LONGEST: u64 = Ramp::LONGEST.as_secs() / 60;

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
    #[schemars(extend("x-class" = Public), range(min = 1, max = LONGEST))]
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

enum Step {
    /// Released, by this person and perhaps a second one.
    Release(UserId, Option<UserId>),
    /// The first of two persons has asked.
    Request,
    /// The same person has asked again.
    Wait,
}

/// What a person's wish to release means. The wish of who may not release any more is none.
fn step(switch: &Switch, who: &UserId, known: Acquaintance<'_>) -> Step {
    if !switch.target.is_global() {
        return Step::Release(who.clone(), None);
    }
    match (known.state.wish_to_release(switch, known.now), &switch.by) {
        (Some(first), _) if known.are_two(first, who) => Step::Release(first.clone(), Some(who.clone())),
        (_, Some(engager)) if known.are_two(engager, who) => Step::Release(who.clone(), None),
        (Some(_), _) => Step::Wait,
        (None, _) => Step::Request,
    }
}

async fn release(execution: Execution, Args { id, reason, ramp_minutes }: Args) -> Result<Output, Outcome> {
    let who = execution.principal.user.clone();
    // Sealed before the transaction, which fills in who it was.
    let credential = Some(execution.principal.credential.clone());
    let kind = Kind::ReleaseRequested { switch: id.clone(), by: who.clone(), credential };
    let account = execution.principal.account.clone();
    let note = json!({ "reason": reason, "ramp_minutes": ramp_minutes });
    let change = Record::noted(&execution, &account, kind, note).await?;
    let (switch, over) = (id.clone(), ramp_minutes.map(Duration::from_mins));
    let taken = write(&execution, Want::default(), move |draft| {
        let Some(row) = draft.state().switches.get(&switch) else { return Ok(Err(not_found())) };
        if over.is_some() && row.ramp.is_some() {
            return Ok(Err(lets_go_already()));
        }
        let newcomer = draft.state().newcomer(draft.now);
        let known = Acquaintance { state: draft.state(), now: draft.now, newcomer };
        let (step, until) = (step(row, &who, known), over.and_then(|over| row.ramp_until(draft.now, over)));
        let mut event = change.event();
        if let Step::Release(by, second) = &step {
            event.kind = released(switch.clone(), by.clone(), second.clone(), until);
        }
        if !matches!(step, Step::Wait) {
            draft.append(Position(0), event)?;
        }
        Ok(Ok((step, until)))
    });
    match taken.await? {
        (Step::Release(by, second), until) => Ok(Output { id, released: until.is_none(), until: until.map(Instant), by, second }),
        (Step::Request | Step::Wait, _) => Err(Outcome::Failed(second_person())),
    }
}

fn released(switch: SwitchId, by: UserId, second: Option<UserId>, until: Option<Micros>) -> Kind {
    let (by, break_glass) = (Some(by), false);
    match until {
        Some(until) => Kind::ReleaseRamped { switch, by, second, until, break_glass },
        None => Kind::SwitchReleased { switch, by, second, break_glass },
    }
}

fn not_found() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such switch in force.")
}

/// Beginning anew would stop whom it has let through.
fn lets_go_already() -> Refusal {
    Refusal::new(Code::Conflict, "The switch lets go step by step already.")
        .hint("Release it at once, or engage the same again to stop everybody.")
}

fn second_person() -> Refusal {
    Refusal::new(Code::SecondPersonRequired, "A second person has to release it; your wish to is noted.")
        .hint("Another person of the staff releases it, who did not come by you, nor you by them, lately.")
}
