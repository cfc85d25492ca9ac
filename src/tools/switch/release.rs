//! `switch_release`: ends a switch. Releasing one that stops every customer takes a second person.

use serde::Deserialize;
use serde_json::json;

use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::{Position, SwitchId, UserId};
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::switch::Switch;
use crate::core::tool::ToolFacts;
use crate::log::store::Want;
use crate::tools::outcome::Answer;
use crate::tools::record::Record;
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id, maybe, text};
use crate::tools::{Execution, Tool, facts, register};

static FACTS: ToolFacts = facts::stop(facts::control("switch_release", Some(Scope::StaffSwitch)));

pub(super) fn tool() -> Tool {
    let input =
        Shape::new().must("id", Public, id("swi", "The switch.")).may("reason", Content, text("Why, for staff.", 500)).keyed();
    let output = Shape::new()
        .must("id", Public, any("string", "The switch."))
        .must("released", Public, any("boolean", "It is released."))
        .must("by", Public, any("string", "The person who released it, or asked for it first."))
        .must("second", Public, maybe("string", "The second person, if it took one to ask and one to agree."));
    let face = Face {
        title: "Release a kill switch",
        description: "Ends a switch. One that stops every customer is released by another person than the one who engaged it; \
                      if no person engaged it, by two persons.",
    };
    register::tool(&FACTS, face, input, output, handler!(release))
}

#[derive(Deserialize)]
struct Args {
    id: SwitchId,
    reason: Option<String>,
}

enum Step {
    /// Released, by this person and perhaps a second one.
    Release(UserId, Option<UserId>),
    /// The first of two persons has asked.
    Request,
    /// The same person has asked again.
    Wait,
}

/// What a person's wish to release means.
fn step(switch: &Switch, who: &UserId) -> Step {
    if !switch.target.is_global() {
        return Step::Release(who.clone(), None);
    }
    match (&switch.release_requested_by, &switch.by) {
        (Some(first), _) if first != who => Step::Release(first.clone(), Some(who.clone())),
        (_, Some(engager)) if engager != who => Step::Release(who.clone(), None),
        (Some(_), _) => Step::Wait,
        (None, _) => Step::Request,
    }
}

async fn release(execution: Execution) -> Answer {
    let Args { id, reason } = execution.arguments()?;
    let who = execution.principal.user.clone();
    // Sealed before the transaction, which fills in who it was.
    let kind = Kind::ReleaseRequested { switch: id.clone(), by: who.clone() };
    let account = execution.principal.account.clone();
    let change = Record::noted(&execution, &account, kind, json!({ "reason": reason })).await?;
    let switch = id.clone();
    let taken = execution
        .ports
        .writer
        .write(Want::default(), move |draft| {
            let Some(row) = draft.state().switches.get(&switch) else { return Ok(None) };
            let step = step(row, &who);
            let mut event = change.event();
            if let Step::Release(by, second) = &step {
                event.kind = Kind::SwitchReleased { switch, by: Some(by.clone()), second: second.clone(), break_glass: false };
            }
            if !matches!(step, Step::Wait) {
                draft.append(Position(0), event)?;
            }
            Ok(Some(step))
        })
        .await?;
    match taken {
        Some(Step::Release(by, second)) => Ok(json!({ "id": id, "released": true, "by": by, "second": second })),
        Some(Step::Request | Step::Wait) => Err(Outcome::Failed(second_person())),
        None => Err(Outcome::Failed(Refusal::new(Code::NotFound, "There is no such switch in force."))),
    }
}

fn second_person() -> Refusal {
    Refusal::new(Code::SecondPersonRequired, "A second person has to release it; your wish to is noted.")
        .hint("Another person of the staff releases it with a key of their own.")
}
