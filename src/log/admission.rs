//! Writing an intent and its decision in one transaction; the proof that comes of it is [`super::admitted`].

pub use super::admitted::Admitted;
use super::appender::Lane;
use super::decision_inputs::rows_of;
use super::draft::{Counts, Draft, NewEvent};
use super::fence::{Admissibility, Lease};
use super::open_calls;
use super::refusals::Recording;
use super::row_names::{approvals_of, use_row};
pub use super::row_names::{claim_row, job_row};
use super::store::{StoreError, Want};
pub use super::submission::{Submission, Submitted, Waits};
use super::vault::SealedPart;
use super::writer::{WriteError, Writer};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::decide::{Decision, DecisionInputs, decide};
use crate::core::event::{self, EventKind, named};
use crate::core::id::{CallId, Position, SwitchId};
use crate::core::job::{Claim, Idempotency, Job};
use crate::core::limit::Limit;
use crate::core::proposal::Proposal;
use crate::core::refusal::Refusal;
use crate::core::resource::place_of;
use crate::core::scrub::Scrubbed;
use crate::core::tool::{Timing, ToolSpec};

/// How long an idempotency key is remembered.
const REMEMBERED: std::time::Duration = std::time::Duration::from_hours(24);

impl Writer {
    /// Records an intent and decides it, in one transaction.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, WriteError> {
        let (want, lease) = (wanted(&submission), self.fence().lease());
        // What stops something by a key that this node knows waits for nothing that was asked for before.
        let who = &submission.proposal.principal;
        let known = || self.fence().state().credentials.get(&who.credential).is_some_and(|row| row.revoked_at.is_none());
        let stops = submission.proposal.tool.is_some_and(|tool| tool.stops) && known();
        let lane = if stops { Lane::Stopping } else { Lane::Ordinary };
        let (credential, stopping) = (who.credential.clone(), submission.proposal.tool.is_some_and(|tool| tool.stops));
        // What stops something waits no longer for a row that only counts than the first try takes.
        let mut counts = if stopping && !stops { Counts::Later } else { Counts::Now };
        // What is not run here at once is run by somebody if the log has it.
        let waits = submission.may_wait();
        let entry = move |draft: &mut Draft| {
            let counted = counts;
            if stopping {
                counts = Counts::Later;
            }
            draft.counts = counted;
            draft.submit(&submission, lease).map(|submitted| (submitted, counted))
        };
        let (submitted, counted) =
            if waits { self.write_surely(lane, want, entry).await? } else { self.enqueue(lane, want, entry).await? };
        if counted == Counts::Later && submitted.is_recorded() {
            self.count_use_later(&credential);
        }
        Ok(submitted)
    }
}

fn wanted(submission: &Submission) -> Want {
    let proposal = &submission.proposal;
    let mut names = rows_of(proposal);
    names.extend(Recording::rows(submission));
    names.push(use_row(&proposal.principal.credential));
    names.extend(proposal.idempotency.as_ref().map(|(key, _)| key.clone()));
    names.extend(proposal.follows.as_ref().map(job_row));
    let mut under = open_calls::wanted(proposal);
    under.extend(proposal.verdict.hold.is_some().then(|| approvals_of(&proposal.principal.account)));
    let calls = submission.repeats.iter().cloned().collect();
    Want { names, under, calls, ..Want::default() }
}

impl Draft {
    fn submit(&mut self, submission: &Submission, lease: Lease) -> Result<Submitted, StoreError> {
        let decision = self.decide(&submission.proposal);
        self.act(submission, decision, lease)
    }

    pub(super) fn act(&mut self, submission: &Submission, decision: Decision, lease: Lease) -> Result<Submitted, StoreError> {
        if let Some(refusal) = self.too_many_open(submission, &decision)? {
            return self.refuse_new(submission, None, refusal);
        }
        match decision {
            Decision::Unsettled => Ok(Submitted::Unsettled),
            Decision::Refuse { refusal, switch } => self.refuse_new(submission, switch, refusal),
            Decision::Hold(hold) => self.hold(submission, hold),
            Decision::Admit(limits) => self.admit(submission, &limits, lease),
            Decision::Replay(Idempotency { call: first, .. }, _) | Decision::Join(first, _)
                if submission.repeats.as_ref() != Some(&first) =>
            {
                Ok(Submitted::Repeats(first))
            }
            Decision::Replay(row, slots) => match self.check_repeat(submission, &row.call) {
                Ok(()) => self.replay(submission, row, &slots),
                Err(refusal) => self.not_repeated(submission, refusal, lease),
            },
            Decision::Join(first, slots) => {
                if let Err(refusal) = self.check_repeat(submission, &first) {
                    return self.not_repeated(submission, refusal, lease);
                }
                let keys = self.take_slots(&slots);
                let last = self.record(submission, keys, Some(first.clone()), false)?;
                self.count_joined(&submission.proposal, &first)?;
                if let Some(tool) = submission.proposal.tool {
                    self.open_job(submission, last, Some(first.clone()), tool, Status::Running)?;
                }
                Ok(Submitted::Joined(first))
            }
        }
    }

    pub(super) fn refuse_new(
        &mut self,
        submission: &Submission,
        switch: Option<SwitchId>,
        refusal: Refusal,
    ) -> Result<Submitted, StoreError> {
        let run = self.refuse(&Recording { switch, refusal: &refusal, submission })?;
        Ok(Submitted::Refused { refusal, run })
    }

    /// The decision; state that cannot be read refuses (P12).
    pub(super) fn decide(&self, proposal: &Proposal) -> Decision {
        let stops = proposal.tool.is_some_and(|tool| tool.stops);
        if self.skewed && !stops {
            let refusal = Refusal::new(Code::ClockSkew, "This node's clock is too far from the log's time.")
                .hint("Set the clock right. If it is, and nothing else says so, staff accept it: `forelog clock accept`.");
            return Decision::Refuse { refusal, switch: None };
        }
        if self.pushed && !stops {
            let text = "The log's head is not what its events make it, so nothing is decided by it.";
            let hint = "`forelog doctor` says what differs, and whoever owns the data puts it right with `doctor --mend`.";
            return Decision::Refuse { refusal: Refusal::new(Code::ControlStateUnreadable, text).hint(hint), switch: None };
        }
        self.look_up(proposal).map_or_else(
            |error| {
                let refusal = Refusal::new(Code::ControlStateUnreadable, "State that this decision needs cannot be read.");
                tracing::error!(%error, "a decision found state it cannot read");
                Decision::Refuse { refusal, switch: None }
            },
            |found| {
                let facts = DecisionInputs {
                    now: self.now,
                    state: self.state(),
                    windows: &found.windows,
                    idempotency: found.idempotency.as_ref(),
                    joined: found.joined,
                    claim: found.claim.as_ref(),
                    uses: &found.uses,
                };
                decide(proposal, &facts)
            },
        )
    }

    fn admit(&mut self, submission: &Submission, limits: &[(String, Limit)], lease: Lease) -> Result<Submitted, StoreError> {
        let proposal = &submission.proposal;
        let Some(tool) = proposal.tool else { return Err(StoreError::Unreadable("admitted without a tool".into())) };
        let keys = self.take_slots(limits);
        let instant = tool.timing == Timing::Instant;
        let last = self.record(submission, keys, None, tool.is_command())?;
        let job = self.open_job(submission, last, None, tool, if instant { Status::Running } else { Status::Queued })?;
        if let Some(place) = place_of(&proposal.resources).filter(|_| tool.is_command()) {
            self.put(&claim_row(place), &Claim::of(&proposal.call, &proposal.principal.credential))?;
        }
        self.remember(proposal, Status::Running)?;
        if !instant {
            return Ok(Submitted::Queued);
        }
        let epoch = self.state().epoch;
        Ok(Submitted::Admitted(Admitted::proven(&job, epoch, Admissibility { lease, at: self.now })))
    }

    /// Lets repeats of a call with an idempotency key find it.
    pub(super) fn remember(&mut self, proposal: &Proposal, status: Status) -> Result<(), StoreError> {
        let Some((key, arguments)) = &proposal.idempotency else { return Ok(()) };
        let expires_at = self.now.plus(REMEMBERED);
        let (call, arguments) = (proposal.call.clone(), arguments.clone());
        self.put(key, &Idempotency { call, arguments, expires_at, end: None, status, joined: 0 })
    }

    /// Appends the intent and its admission; answers where the admission is.
    pub(super) fn record(
        &mut self,
        from: &Submission,
        limits: Vec<String>,
        joins: Option<CallId>,
        claim: bool,
    ) -> Result<Position, StoreError> {
        let proposal = &from.proposal;
        let instant = joins.is_some() || proposal.tool.is_some_and(|tool| tool.timing == Timing::Instant);
        let intent = self.record_intent(from, &from.parts)?;
        let admitted = event::Admitted {
            call: proposal.call.clone(),
            epoch: self.state().epoch.clamped(),
            policy: proposal.verdict.version,
            policies: named(&proposal.verdict.policies),
            shadows: named(&proposal.verdict.shadows),
            limits: limits.into_iter().map(Into::into).collect(),
            node: instant.then(|| from.node.clone()),
            claim,
            joins,
        };
        let [_, decision, _] = &from.events;
        self.append(intent, NewEvent::plain(decision.clone(), EventKind::Admitted(admitted)))
    }

    /// Appends the intent with these parts, and the key's use.
    pub(super) fn record_intent(&mut self, from: &Submission, parts: &[SealedPart]) -> Result<Position, StoreError> {
        let [intent, ..] = &from.events;
        let kind = EventKind::IntentRecorded(from.intent.clone());
        let (id, parts, note) = (intent.clone(), parts.to_vec(), Scrubbed::default());
        let position = self.append(Position(0), NewEvent { id, kind, parts, note })?;
        if self.counts == Counts::Now {
            self.count_use(&from.proposal.principal.credential)?;
        }
        Ok(position)
    }

    pub(super) fn open_job(
        &mut self,
        from: &Submission,
        last: Position,
        joins: Option<CallId>,
        tool: &ToolSpec,
        status: Status,
    ) -> Result<Job, StoreError> {
        let proposal = &from.proposal;
        let job = Job {
            call: proposal.call.clone(),
            account: proposal.principal.account.clone(),
            credential: proposal.principal.credential.clone(),
            tool: tool.name.to_owned(),
            class: tool.class,
            resources: proposal.resources.clone(),
            providers: proposal.reach.providers.clone(),
            status,
            intent: Position(last.0 - 1),
            last,
            node: (status == Status::Running).then(|| from.node.clone()),
            idempotent: tool.idempotent,
            idempotency: proposal.idempotency.as_ref().filter(|_| joins.is_none()).map(|(key, _)| key.clone()),
            claim: tool.is_command() && joins.is_none() && status != Status::Held,
            joins,
            joined: 0,
            sealed: from.waits.sealed && matches!(status, Status::Held | Status::Queued),
            held: status == Status::Held,
            counts: matches!(status, Status::Held | Status::Queued),
            cancel_asked: false,
        };
        self.put_open(&job)?;
        Ok(job)
    }
}
