//! `switch_release`: ends a switch, at once or step by step. Releasing one that stops every customer takes a second person.

use std::time::Duration;

use serde::Deserialize;
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
use crate::core::tool::ToolFacts;
use crate::log::store::Want;
use crate::tools::outcome::Answer;
use crate::tools::record::{Record, write};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id, maybe, number, text};
use crate::tools::{Execution, Tool, facts, instant, register};

/// The longest ramp, in minutes.
const LONGEST: u64 = Ramp::LONGEST.as_secs() / 60;

static FACTS: ToolFacts = facts::administer(facts::stop(facts::control("switch_release", Some(Scope::StaffSwitch))));

pub(super) fn tool() -> Tool {
    let ramp = "Let keys through again one after the other, all of them after so many minutes; at once if absent.";
    let input = Shape::new()
        .must("id", Public, id("swi", "The switch."))
        .may("reason", Content, text("Why, for staff.", 500))
        .may("ramp_minutes", Public, number(ramp, 1, LONGEST))
        .keyed();
    let output = Shape::new()
        .must("id", Public, any("string", "The switch."))
        .must("released", Public, any("boolean", "It stops nothing any more; false while it lets go step by step."))
        .must("until", Public, maybe("string", "When it lets everybody through, if it lets go step by step."))
        .must("by", Public, any("string", "The person who released it, or asked for it first."))
        .must("second", Public, maybe("string", "The second person, if it took one to ask and one to agree."));
    let face = Face {
        title: "Release a kill switch",
        description: "Ends a switch, at once or step by step. One that stops every customer is released by another person than the one who engaged it; \
                      if no person engaged it, by two persons.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(release))
}

#[derive(Deserialize)]
struct Args {
    id: SwitchId,
    reason: Option<String>,
    ramp_minutes: Option<u64>,
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

async fn release(execution: Execution) -> Answer {
    let Args { id, reason, ramp_minutes } = execution.arguments()?;
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
        (Step::Release(by, second), until) => Ok(json!({
            "id": id, "released": until.is_none(), "until": instant::render_maybe(until), "by": by, "second": second,
        })),
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
