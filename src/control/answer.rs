//! What the caller of a decided call is answered, and how long that may take.
//!
//! INVARIANT: an admitted call is handed to the worker whatever becomes of its caller; before a delayed
//! answer is given, the caller's key is checked again (`recheck.rs`).

use std::sync::Arc;

use serde_json::json;
use tokio::sync::oneshot;

use super::recheck::{Recheck, Recipient};
use super::resume::can_resume;
use super::{Control, Reply, Request};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::decide::may_ask;
use crate::core::id::{CallId, RunId};
use crate::core::near::did_you_mean;
use crate::core::refusal::Refusal;
use crate::core::resource::Resource;
use crate::log::admission::{Admitted, Submitted};
use crate::tools::{Arguments, Tool};

impl Control {
    /// What the caller is answered, once it is decided.
    pub(super) async fn answer(
        self: &Arc<Self>,
        call: &CallId,
        request: Request,
        submitted: Submitted,
        asked: Option<(&Tool, Arguments)>,
        about: Vec<Resource>,
    ) -> Reply {
        if !matches!(submitted, Submitted::Admitted(_) | Submitted::Joined(_)) {
            self.in_flight.release(call);
        }
        if let (false, Some((tool, _)), Some(made)) = (matches!(submitted, Submitted::Refused { .. }), &asked, &request.made)
            && can_resume(tool)
        {
            made.send_replace(Some(call.clone()));
        }
        let (Some((tool, args)), false) = (asked, matches!(submitted, Submitted::Refused { .. } | Submitted::Unsettled)) else {
            return self.undone(call, &request, submitted);
        };
        let (who, cancel) = (request.principal.clone(), request.cancel.clone());
        let asking = Recipient { who: &who, call: Some(tool.facts) };
        let look = if matches!(submitted, Submitted::Admitted(_)) { Recheck::ByItsEnd } else { Recheck::ByLog };
        let waiting = self.wait_for(call, request, submitted, (tool, args), about);
        self.unless_key_ended(call, asking, look, waiting).await.unwrap_or_else(|over| {
            if asking.reads() {
                // It had no purpose but its answer.
                cancel.cancel();
            }
            over
        })
    }

    /// Waits for what is under way, as long as the caller does.
    async fn wait_for(
        self: &Arc<Self>,
        call: &CallId,
        request: Request,
        submitted: Submitted,
        (tool, args): (&Tool, Arguments),
        about: Vec<Resource>,
    ) -> Reply {
        match submitted {
            Submitted::Admitted(admitted) => self.run(admitted, request, (tool, args), about).await,
            Submitted::Queued => {
                self.queued.notify_one();
                Reply::Running { call: call.clone(), status: Status::Queued, command: tool.facts.is_command() }
            }
            // On the heap: each is rare, and would make the future of every call that large.
            Submitted::Held(approval) => Box::pin(self.await_approval(&approval, request, tool)).await,
            Submitted::Replayed { first, status, end } => Box::pin(self.replay(call, &first, status, end, tool)).await,
            Submitted::Joined(first) => Box::pin(self.join(call, first, tool, request.wait)).await,
            submitted @ (Submitted::Refused { .. } | Submitted::Unsettled | Submitted::Repeats(_)) => {
                self.undone(call, &request, submitted)
            }
        }
    }

    async fn run(
        self: &Arc<Self>,
        admitted: Admitted,
        request: Request,
        (tool, args): (&Tool, Arguments),
        about: Vec<Resource>,
    ) -> Reply {
        let call = admitted.call().clone();
        let Request { principal, wait, cancel, progress, .. } = request;
        let (done, finished) = oneshot::channel();
        self.assign(admitted, tool, principal, args, about, cancel, progress, Some(done));
        match self.leaving.run_until_cancelled(tokio::time::timeout(wait, finished)).await {
            Some(Ok(Ok(finished))) => finished.reply,
            // The worker is gone or slow; the call is open and ends without us.
            _ => Reply::Running { call, status: Status::Running, command: tool.facts.is_command() },
        }
    }

    /// What is said of a call that was not made.
    fn undone(&self, call: &CallId, request: &Request, submitted: Submitted) -> Reply {
        match submitted {
            Submitted::Refused { refusal, run } if refusal.code == Code::UnknownTool => {
                refused(call, request, self.with_near_tools(refusal, request), run)
            }
            Submitted::Refused { refusal, run } => refused(call, request, refusal, run),
            _ => Reply::Failed {
                call: Some(call.clone()),
                refusal: Refusal::new(Code::InternalError, "The call could not be decided."),
                status: Status::Refused,
            },
        }
    }

    /// Names the tools that were probably meant, of those that this caller may ask for. It is said after the refusal was recorded: what
    /// is near tells what was typed, which is content (ADR 0113).
    fn with_near_tools(&self, mut refusal: Refusal, request: &Request) -> Refusal {
        let (who, state, now) = (&request.principal, self.ports.fence().state(), self.ports.clock.now());
        let asked = self.catalogue.iter().map(|tool| tool.facts).filter(|tool| may_ask(who, tool, &state, now));
        if let Some(meant) = did_you_mean(&request.tool, asked.map(|tool| tool.name), str::to_owned) {
            refusal.message = format!("{} {meant}", refusal.message);
        }
        refusal
    }
}

fn refused(call: &CallId, request: &Request, refusal: Refusal, run: Option<RunId>) -> Reply {
    tracing::info!(
        target: "forelog::call",
        call_id = %call,
        account = %request.principal.account,
        credential = %request.principal.credential,
        status = "refused",
        code = %refusal.code,
        counted = run.is_some(),
    );
    match run {
        None => Reply::Failed { call: Some(call.clone()), refusal, status: Status::Refused },
        Some(run) => {
            let mut refusal = refusal;
            if let Some(details) = refusal.details.as_object_mut() {
                details.insert("run_id".into(), json!(run));
            }
            Reply::Failed { call: None, refusal, status: Status::Refused }
        }
    }
}
