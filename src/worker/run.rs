//! One execution: the handler under its time limit, and what its end means.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::control::{Assignment, Control};
use crate::core::bounded::Name;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::covering::Covered;
use crate::core::id::{AccountId, CallId, CredentialId, SwitchId};
use crate::core::refusal::Refusal;
use crate::core::resource::ResourceId;
use crate::core::state::ControlState;
use crate::core::switch::Switch;
use crate::core::time::Micros;
use crate::core::tool::{Class, ToolSpec};
use crate::core::tool_result::ToolResult;
use crate::log::closing::Closing;
use crate::tools::{Execution, Tool};

/// How long a handler that was cancelled or is over time may take to end in order.
const GRACE: Duration = Duration::from_secs(10);

/// A call that runs here: what switches are held against after its execution went to the handler, and how it is told to end.
pub(super) struct Running {
    call: CallId,
    tool: &'static ToolSpec,
    account: AccountId,
    credential: CredentialId,
    resources: Vec<ResourceId>,
    providers: Vec<Name>,
    /// The time of the log that it was let through at.
    decided_at: Micros,
    pub(super) cancel: CancellationToken,
}

impl Running {
    pub(super) fn of(execution: &Execution) -> Self {
        let (admitted, who) = (&execution.admitted, &execution.principal);
        Self {
            call: execution.call().clone(),
            tool: execution.tool,
            account: who.account.clone(),
            credential: who.credential.clone(),
            resources: admitted.resources().to_vec(),
            providers: admitted.providers().to_vec(),
            decided_at: admitted.leave().at,
            cancel: execution.cancel.clone(),
        }
    }

    /// The switches that cover it at `now`. What the log let through is not stopped by a clock that is behind it.
    pub(super) fn covering<'a>(&'a self, state: &'a ControlState, now: Micros) -> impl Iterator<Item = &'a Switch> {
        let Self { tool, account, credential, resources, providers, .. } = self;
        let call = Covered { tool, account, credential, resources, providers, visible: false };
        let at = now.max(self.decided_at);
        state.switches.values().filter(move |switch| switch.covers(&call, state, at))
    }
}

/// Runs an admitted call to its end and writes that down.
pub(super) async fn run(control: &Arc<Control>, running: &Running, Assignment { execution, done }: Assignment) {
    let Some(tool) = control.catalogue.get(running.tool.name) else { return };
    let depends = execution.admitted.depends().to_vec();
    let outcome = execute(tool, execution).await;
    let switch = matches!(outcome, Outcome::Cancelled(_)).then(|| covering(control, running)).flatten();
    let outcome = match outcome {
        Outcome::Cancelled(Code::Cancelled) if switch.is_some() => Outcome::Cancelled(Code::KillSwitchEngaged),
        other => other,
    };
    let ports = &control.ports;
    let mut closing = Closing { depends, ..Closing::of(running.call.clone(), ports.node.clone(), ports.event_id()) };
    closing.ended.switch = switch;
    control.finish((&running.account, tool), closing, outcome, done).await;
}

async fn execute(tool: &Tool, execution: Execution) -> Outcome {
    let (cancel, limit, class) = (execution.cancel.clone(), tool.time_limit, tool.facts.class);
    // A panic is ours, and it leaves open whether the thing has happened.
    let handler = std::panic::AssertUnwindSafe(tool.handler.run(execution)).catch_unwind();
    tokio::pin!(handler);
    let over_time = tokio::select! {
        // In this order: what ends at once needs no timer.
        biased;
        ended = &mut handler => return ended.unwrap_or_else(|_| lost(class, "the handler failed")),
        () = cancel.cancelled() => false,
        () = tokio::time::sleep(limit) => true,
    };
    cancel.cancel();
    if class == Class::Read {
        return if over_time { Outcome::TimedOut(ToolResult::default()) } else { Outcome::Cancelled(Code::Cancelled) };
    }
    match tokio::time::timeout(GRACE, handler).await {
        Ok(ended) => ended.unwrap_or_else(|_| lost(class, "the handler failed")),
        Err(_) => Outcome::Unknown("the provider did not answer in time".into()),
    }
}

fn lost(class: Class, why: &str) -> Outcome {
    if class == Class::Read {
        return Outcome::Failed(Refusal::new(Code::InternalError, "Forelog failed while reading."));
    }
    Outcome::Unknown(why.to_owned())
}

fn covering(control: &Control, running: &Running) -> Option<SwitchId> {
    let state = control.ports.fence().state();
    running.covering(&state, control.ports.clock.now()).next().map(|switch| switch.id.clone())
}
