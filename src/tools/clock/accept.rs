//! `clock_accept`: staff say that this node's clock is right, where nothing else does.

use serde::Deserialize;
use serde_json::json;

use crate::core::clock::Proposed;
use crate::core::engagement::{REASON, check_reason};
use crate::core::event::Kind;
use crate::core::id::Position;
use crate::core::redact::Sensitivity::{Content, Public};
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::time::Micros;
use crate::core::tool::ToolFacts;
use crate::log::store::Want;
use crate::tools::outcome::Answer;
use crate::tools::record::{Record, write};
use crate::tools::register::{self, Face, handler};
use crate::tools::shape::{Shape, any, moment, text};
use crate::tools::{Execution, Tool, facts, instant};

/// It goes on while calls are refused because of the clock: it is the way out.
static FACTS: ToolFacts = facts::administer(facts::stop(facts::control("clock_accept", Some(Scope::StaffSwitch))));

pub(super) fn tool() -> Tool {
    let input = Shape::new()
        .must("time", Public, moment("What time it is, from another clock than this server's. They may be two minutes apart."))
        .must("reason", Content, text("Why, for staff.", REASON))
        .keyed();
    let output = Shape::new().must("time", Public, any("string", "What the clock says that was accepted.")).must(
        "log_time",
        Public,
        any("string", "The log's time from then on."),
    );
    let face = Face {
        title: "Accept the clock",
        description: "Says that this server's clock is right, so that the log goes on by it after calls were refused with \
                      clock_skew. It is recorded. A log that is ahead of the clock is accepted by its owner, on the data.",
    };
    register::tool(&FACTS, face, input.read_as::<Args>(), output, handler!(accept))
}

#[derive(Deserialize)]
struct Args {
    #[serde(default, deserialize_with = "instant::read")]
    time: Option<Micros>,
    reason: String,
}

async fn accept(execution: Execution) -> Answer {
    let Args { time, reason } = execution.arguments()?;
    check_reason(&reason)?;
    let who = &execution.principal;
    let proposed = Proposed { clock: execution.ports.clock.now(), named: time.unwrap_or_default(), owner: false };
    let kind = Kind::ClockAccepted { by: Some(who.user.clone()), credential: Some(who.credential.clone()), ahead: 0 };
    let event = Record::noted(&execution, &who.account, kind, json!({ "reason": reason })).await?.event();
    let written = write(&execution, Want::default(), move |draft| {
        let ahead = match draft.follow_clock(&proposed) {
            Ok(ahead) => ahead,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut event = event.clone();
        if let Kind::ClockAccepted { ahead: said, .. } = &mut event.kind {
            *said = ahead;
        }
        draft.append(Position(0), event)?;
        Ok::<Result<_, Refusal>, _>(Ok((proposed.clock, draft.at)))
    });
    let (clock, log) = written.await?;
    Ok(json!({ "time": clock.document(), "log_time": log.document() }))
}
