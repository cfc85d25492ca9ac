//! A call that waits for a person, and the caller that waits for the call.
//!
//! INVARIANT: what a call that waits needs to run is sealed before its intent is written; without the seal it is never run.

use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use super::endings::Finished;
use super::intake::Intake;
use super::{Control, OnHold, Reply, Request};
use crate::core::approval::Approval;
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::id::{CallId, EventId};
use crate::core::job::Job;
use crate::core::proposal::Proposal;
use crate::core::redact::shows_whole;
use crate::core::refusal::Refusal;
use crate::core::scrub::Scrubbed;
use crate::core::time::Micros;
use crate::core::tool::{Class, Timing};
use crate::log::admission::{Waits, job_row};
use crate::log::binding::Binding;
use crate::log::hold::approval_row;
use crate::log::vault::{PART_MAX, VaultError};
use crate::tools::{Progress, Tool};

/// How often a held call is looked at, if nobody tells that it has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Arguments of this size, in bytes, are surely recorded whole.
const WHOLE: usize = PART_MAX / 4;

impl Control {
    /// What a call needs if it is not run at once: its arguments are sealed, if what is recorded of them is not all of them
    /// or a person may take his time.
    pub(super) async fn waits(
        &self,
        proposal: &Proposal,
        intake: &Intake<'_>,
        request: &Request,
        event: &EventId,
        now: Micros,
    ) -> Result<Waits, VaultError> {
        let mut waits = Waits { sealed: false, hidden: false, note: Vec::new() };
        let Some(tool) = proposal.tool.filter(|_| proposal.invalid.is_none() && proposal.follows.is_none()) else {
            return Ok(waits);
        };
        let hold = proposal.verdict.hold.as_ref().filter(|_| !tool.stops && tool.class != Class::Control);
        // Asked last: nearly every call is instant, and has all its arguments compared for nothing.
        let is_cut = || intake.recorded.document()["args"] != request.args || intake.canonical.len() > WHOLE;
        if hold.is_none() && (tool.timing == Timing::Instant || !is_cut()) {
            return Ok(waits);
        }
        let state = self.ports.fence().state();
        let key = state.credentials.get(&proposal.principal.credential);
        if key.is_none_or(|key| key.revoked_at.is_some()) {
            // It is refused, and stays dead: nothing is to be written for it, not even for a moment.
            return Ok(waits);
        }
        if hold.is_some() && !shows_arguments(intake, request) {
            waits.hidden = true;
            return Ok(waits);
        }
        let (vault, account) = (&self.ports.reader.vault, &proposal.principal.account);
        vault.put_seal(account, now, &proposal.call, &intake.canonical).await?;
        waits.sealed = true;
        if let Some(hold) = hold {
            let of = Binding::step(event, &proposal.call, "held");
            let note = json!({ "hold": hold, "policy": proposal.verdict.version, "policies": proposal.verdict.policies });
            waits.note.push(vault.seal(account, now, of, "note", &Scrubbed::of(note)).await?);
        }
        Ok(waits)
    }

    /// Waits for a person and for the call, as long as the caller does; then answers where to look.
    pub(super) async fn await_approval(&self, approval: &Approval, request: Request, tool: &Tool) -> Reply {
        let call = &approval.call;
        let asked = self.asked(approval);
        if let Some(listener) = &request.progress {
            // Nobody listens any more: the call waits all the same.
            let _ = listener.try_send(Progress { done: 0.0, total: None, message: asked.message.clone() });
        }
        match request.on_hold {
            OnHold::Wait => {}
            OnHold::Tell(listener) => {
                let _ = listener.send(asked.clone());
            }
            OnHold::Leave => return held(call, asked),
        }
        let finished = self.waiting.wait(call);
        let leaving = self.waiting.leave(call);
        let ended = tokio::time::timeout(request.wait, self.end_of_held(call, tool, finished));
        let ended = tokio::select! {
            ended = ended => ended.ok().flatten(),
            () = self.leaving.cancelled() => None,
            () = request.cancel.cancelled() => None,
        };
        drop(leaving);
        if let Some(reply) = ended {
            return reply;
        }
        match self.open_job(call).await.map(|job| job.status) {
            Some(status @ (Status::Queued | Status::Running)) => {
                Reply::Running { call: call.clone(), status, command: tool.facts.is_command() }
            }
            _ => held(call, asked),
        }
    }

    /// What the caller of `call`, which has joined `first`, is answered as long as that one has not ended.
    pub(super) async fn still_open(&self, call: &CallId, first: &CallId) -> Reply {
        let rows = match self.open_job(first).await {
            Some(job) => self.ports.reader.store.state_rows(&[approval_row(&job.account, first)]).await.unwrap_or_default(),
            None => Vec::new(),
        };
        match rows.first().and_then(|row| serde_json::from_slice::<Approval>(&row.doc).ok()) {
            Some(approval) => held(call, self.asked(&approval)),
            None => Reply::Running { call: call.clone(), status: Status::Running, command: false },
        }
    }

    /// What a caller is told whose call waits for a person.
    fn asked(&self, approval: &Approval) -> Refusal {
        let link = self.ports.approvals.link(&approval.call);
        let details = json!({
            "operation_id": approval.call, "approval_id": approval.call, "status": Status::Held,
            "expires_at": approval.expires_at.rfc3339(), "url": link,
        });
        let place = link.map(|link| format!(" They answer at {link}")).unwrap_or_default();
        Refusal::new(Code::ApprovalRequired, format!("A person has to approve this first: {}.{place}", approval.hold.why))
            .hint("operation_wait tells what became of it. Calling again asks again.")
            .details(details)
    }

    /// How a held call ended; none if that cannot be read back.
    async fn end_of_held(&self, call: &CallId, tool: &Tool, mut finished: oneshot::Receiver<Finished>) -> Option<Reply> {
        let mut endings = self.endings.subscribe();
        loop {
            if !self.waiting.has(call) {
                // It runs on this node.
                return finished.await.ok().map(|finished| finished.reply);
            }
            if self.open_job(call).await.is_none() {
                break;
            }
            tokio::select! {
                finished = &mut finished => return finished.ok().map(|finished| finished.reply),
                // Whatever woke us, the log is asked again.
                _ = tokio::time::timeout(POLL_INTERVAL, endings.recv()) => {}
            }
        }
        if !self.waiting.has(call) {
            return finished.await.ok().map(|finished| finished.reply);
        }
        self.recorded_end(call, tool).await
    }

    /// The row of a call that has not ended; also none if it cannot be read.
    pub(super) async fn open_job(&self, call: &CallId) -> Option<Job> {
        let rows = self.ports.reader.store.state_rows(&[job_row(call)]).await.ok()?;
        serde_json::from_slice(&rows.first()?.doc).ok()
    }
}

/// Whether a person is shown all that would be run, but what the tool has declared to be secret: as it is recorded.
fn shows_arguments(intake: &Intake<'_>, request: &Request) -> bool {
    let recorded = &intake.recorded;
    let is_whole = |tool: &Tool| shows_whole(&request.args, &recorded.document()["args"], &tool.arguments);
    intake.tool.is_some_and(is_whole) && recorded.bytes().len() <= PART_MAX
}

fn held(call: &CallId, asked: Refusal) -> Reply {
    Reply::Failed { call: Some(call.clone()), refusal: asked, status: Status::Held }
}
