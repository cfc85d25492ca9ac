//! Calls that wait for a person: held in the transaction of their intent, answered, and released or refused in one.
//!
//! ```text
//! Held ─▶ ApprovalDecided (no)              ─▶ Refused (approval_rejected), in the same transaction
//!      ─▶ ApprovalDecided (yes, if need be twice) ─▶ decided again ─▶ Admitted (queued) | Refused
//!      ─▶ nobody in time, or a switch       ─▶ Refused (approval_expired | kill_switch_engaged)
//! ```
//!
//! INVARIANT: the approval's row and the job's row change together with the call's event, so of two who answer at once one
//! finds it answered, and what was released once is not held any more (P2, P4).

use std::time::Duration;

use super::appender::Lane;
use super::call_rows::OpenCallRow;
use super::call_write::CallWrite;
use super::claim::covering;
use super::decision_inputs::rows_of;
use super::draft::{Draft, NewEvent};
pub use super::row_names::{APPROVALS, approval_row, approvals_of};
use super::row_names::{claim_row, job_row, open_row, readable};
use super::store::{StoreError, Want};
use super::submission::{Submission, Submitted};
use super::vault::SealedPart;
use super::writer::{WriteError, Writer};
use crate::core::approval::{Approval, Bound, Step, decided, superseded};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::decide::Decision;
use crate::core::event::{self, EventKind, Refused, named};
use crate::core::hold::Hold;
use crate::core::id::{CallId, EventId, SwitchId};
use crate::core::job::{Claim, Idempotency, Job};
use crate::core::limit::Limit;
use crate::core::principal::Principal;
use crate::core::proposal::Proposal;
use crate::core::refusal::Refusal;
use crate::core::resource::place_of;
use crate::core::scrub::Scrubbed;
use crate::core::second_person::InviteHistory;
use crate::core::tool::ToolSpec;

/// Calls of one key that may wait for a person at a time: whoever has to answer them reads them all.
const MAX_COUNT: usize = 50;

/// When a key that has too many calls waiting may ask again.
const RETRY_AFTER: Duration = Duration::from_mins(1);

/// A person's answer to a held call.
#[derive(Clone)]
pub struct Answer {
    /// The call.
    pub call: CallId,
    /// Who answers; nobody that we know if it is done on the data itself.
    pub by: Option<Principal>,
    /// The call by which it is answered; none if it is done on the data itself.
    pub acting: Option<CallWrite>,
    /// Yes.
    pub approve: bool,
    /// Ids of the answer and of the end that a no is.
    pub events: [EventId; 2],
    /// The reason, encrypted for the answer.
    pub note: Vec<SealedPart>,
    /// The error, encrypted for the end.
    pub result: Vec<SealedPart>,
}

/// A call that everybody approved, on its way to be decided again.
#[derive(Clone)]
pub struct Release {
    /// What is decided.
    pub proposal: Proposal,
    /// The event's id.
    pub id: EventId,
}

/// What became of a release.
#[derive(Clone, Debug, PartialEq)]
pub enum Released {
    /// A worker takes it.
    Queued,
    /// It has ended.
    Refused(Refusal),
    /// Policy or a resource moved: evaluate and try again.
    Unsettled,
    /// It does not wait any more, or nobody has approved it.
    Gone,
    /// Its row is not what the log says.
    Unfit,
}

/// What became of a held call whose time may be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It has ended.
    Ended(Code),
    /// It goes on waiting, or does not wait any more.
    Not,
    /// Its row is not what the log says.
    Unfit,
}

impl Writer {
    /// Writes down a person's answer; a no ends the call. The inner error is what that person is told instead.
    pub async fn answer(&self, answer: Answer, job: &Job) -> Result<Result<Step, Refusal>, WriteError> {
        let mut want = wanted(job);
        want.calls.extend(answer.acting.iter().flat_map(|acting| acting.want().calls));
        self.write_surely(Lane::Ordinary, want, move |draft| {
            let allowed = answer.acting.as_ref().map_or(Ok(Ok(())), |acting| acting.check(draft))?;
            if let Err(refusal) = allowed {
                return Ok(Err(refusal));
            }
            draft.answer(answer.clone())
        })
        .await
    }

    /// Decides an approved call again: it is queued, or it ends.
    pub async fn release(&self, release: Release, job: &Job) -> Result<Released, WriteError> {
        let mut want = wanted(job);
        want.names.extend(rows_of(&release.proposal));
        self.write(want, move |draft| draft.release(release.clone())).await
    }

    /// Ends a held call that a switch covers, or whose time is over.
    pub async fn end_due(&self, job: &Job, tool: &'static ToolSpec, id: EventId) -> Result<Due, WriteError> {
        let call = job.call.clone();
        self.write(wanted(job), move |draft| {
            let (job, approval) = match draft.held(&call)? {
                Held::Waits(job, approval) => (job, approval),
                Held::Not => return Ok(Due::Not),
                Held::Unfit => return Ok(Due::Unfit),
            };
            if let Some(switch) = covering(draft.state(), &job, tool, draft.now) {
                draft.stop_held(&job, switch, id.clone())?;
                return Ok(Due::Ended(Code::KillSwitchEngaged));
            }
            let code = match approval {
                Some(approval) if approval.is_over(draft.now) => Code::ApprovalExpired,
                Some(_) => return Ok(Due::Not),
                // Nobody could ever answer it (P2, P12).
                None => Code::ControlStateUnreadable,
            };
            draft.refuse_held(&job, NewEvent::plain(id.clone(), EventKind::Refused(draft.refusal_of(&job, code))))?;
            Ok(Due::Ended(code))
        })
        .await
    }
}

fn wanted(job: &Job) -> Want {
    let names = [Some(job_row(&job.call)), Some(approval_row(&job.account, &job.call)), job.idempotency.clone()];
    Want { names: names.into_iter().flatten().collect(), calls: vec![job.call.clone()], ..Want::default() }
}

/// A held call's rows, held against the log.
enum Held {
    /// It waits; an approval that is gone, cannot be read or is of another call is none (P12).
    Waits(Box<Job>, Option<Box<Approval>>),
    /// It does not wait.
    Not,
    /// Its row is not what the log says.
    Unfit,
}

/// Whether a proposal is of this held call.
fn is_of(proposal: &Proposal, job: &Job, approval: &Approval) -> bool {
    let who = &proposal.principal;
    (&who.account, &who.user, &who.credential) == (&job.account, &approval.user, &job.credential)
        && proposal.tool.is_some_and(|tool| tool.name == job.tool)
        && proposal.resources == job.resources
        && proposal.reach.providers == job.providers
}

fn unreadable() -> Refusal {
    Refusal::new(Code::ControlStateUnreadable, "What waits for a person cannot be read.")
}

/// What the caller is told of a call that a person would have to say yes to without having seen it.
fn hidden(hold: &Hold) -> Refusal {
    let text = "A person has to approve this first, and cannot: part of its arguments looks like a secret or is too long, and is not shown.";
    Refusal::new(Code::ApprovalRequired, format!("{text} The policies say: {}", hold.why))
        .hint("A person cannot approve what cannot be shown: pass the secret another way, and the rest in a shorter call.")
}

impl Draft {
    pub(super) fn hold(&mut self, submission: &Submission, hold: Hold) -> Result<Submitted, StoreError> {
        let proposal = &submission.proposal;
        let who = &proposal.principal;
        let Some(tool) = proposal.tool else { return Err(StoreError::Unreadable("held without a tool".into())) };
        if submission.waits.hidden {
            return self.refuse_new(submission, None, hidden(&hold));
        }
        let Ok(waiting) = self.under::<Approval>(&approvals_of(&who.account)) else {
            return self.refuse_new(submission, None, unreadable());
        };
        if waiting.iter().filter(|row| self.state().is_same_key(&row.credential, &who.credential)).count() >= MAX_COUNT {
            let text = format!("{MAX_COUNT} calls of this key wait for a person already.");
            return self.refuse_new(submission, None, Refusal::new(Code::RateLimited, text).retry_after(RETRY_AFTER));
        }
        let intent = self.record_intent(submission, &submission.parts)?;
        let expires_at = self.now.plus(self.state().known_terms().approval());
        let [_, id, _] = &submission.events;
        let kind = EventKind::Held { call: proposal.call.clone(), expires_at, terms: Some(hold.terms()) };
        let event = NewEvent { id: id.clone(), kind, parts: submission.waits.note.clone(), note: Scrubbed::default() };
        let last = self.append(intent, event)?;
        self.open_job(submission, last, None, tool, Status::Held)?;
        self.remember(proposal, Status::Held)?;
        let approval = Approval {
            call: proposal.call.clone(),
            account: who.account.clone(),
            user: who.user.clone(),
            credential: who.credential.clone(),
            tool: tool.name.to_owned(),
            resources: proposal.resources.clone(),
            versions: proposal.versions.clone(),
            read_only: who.read_only,
            arguments: submission.intent.arguments.to_string(),
            policy: proposal.verdict.version,
            hold,
            held_at: self.at,
            expires_at,
            consents: Vec::new(),
        };
        self.put(&approval_row(&who.account, &proposal.call), &approval)?;
        Ok(Submitted::Held(Box::new(approval)))
    }

    /// A held call's rows, as far as they are what the log says, with the consents that count now.
    fn held(&self, call: &CallId) -> Result<Held, StoreError> {
        Ok(match self.open(call, None)? {
            OpenCallRow::Fits(job, chain) if job.status == Status::Held => {
                Held::Waits(job, self.approval_of(&chain).map(Box::new))
            }
            OpenCallRow::Fits(..) | OpenCallRow::Gone => Held::Not,
            OpenCallRow::Unfit => Held::Unfit,
        })
    }

    fn answer(&mut self, answer: Answer) -> Result<Result<Step, Refusal>, StoreError> {
        let Answer { call, by, acting: _, approve, events: [id, end], note, result } = answer;
        let newcomer = self.state().newcomer(self.now);
        let (mut job, approval) = match self.held(&call)? {
            Held::Waits(job, approval) => (job, approval),
            Held::Not => return Ok(Err(decided())),
            Held::Unfit => return Ok(Err(unreadable())),
        };
        let Some(mut approval) = approval else { return Ok(Err(unreadable())) };
        let step = match (&by, approve) {
            (Some(who), true) => approval.consent(who, InviteHistory { state: self.state(), now: self.now, newcomer }),
            (None, true) => Err(Refusal::new(Code::SecondPersonRequired, "Nobody is known to approve it.")),
            (_, false) => approval.check_open(self.now).map(|()| Step::Waits),
        };
        let step = match step {
            Ok(step) => step,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (by, credential) = by.map(|who| (who.user, who.credential)).unzip();
        let kind = EventKind::ApprovalDecided { call: call.clone(), by, credential, approved: approve };
        job.last = self.append(job.last, NewEvent { id, kind, parts: note, note: Scrubbed::default() })?;
        if approve {
            self.put(&job_row(&call), &job)?;
            self.put(&approval_row(&job.account, &call), &*approval)?;
        } else {
            let kind = EventKind::Refused(self.refusal_of(&job, Code::ApprovalRejected));
            self.refuse_held(&job, NewEvent { id: end, kind, parts: result, note: Scrubbed::default() })?;
        }
        Ok(Ok(step))
    }

    fn release(&mut self, release: Release) -> Result<Released, StoreError> {
        let Release { mut proposal, id } = release;
        let (job, approval) = match self.held(&proposal.call)? {
            Held::Waits(job, approval) => (job, approval),
            Held::Not => return Ok(Released::Gone),
            Held::Unfit => return Ok(Released::Unfit),
        };
        let Some(approval) = approval else {
            // Nobody could ever answer it (P2, P12).
            let refused = self.refusal_of(&job, Code::ControlStateUnreadable);
            self.refuse_held(&job, NewEvent::plain(id, EventKind::Refused(refused)))?;
            return Ok(Released::Refused(unreadable()));
        };
        if !approval.is_granted() {
            return Ok(Released::Gone);
        }
        // What was proposed was made of rows that were read before.
        if !is_of(&proposal, &job, &approval) {
            return Ok(Released::Unsettled);
        }
        proposal.approved = Some(Bound::from(&*approval));
        let (refusal, switch) = match self.decide(&proposal) {
            Decision::Admit(limits) => return self.queue(*job, &proposal, &limits, id),
            Decision::Unsettled => return Ok(Released::Unsettled),
            Decision::Refuse { refusal, switch } => (refusal, switch),
            Decision::Hold(_) | Decision::Replay(..) | Decision::Join(..) => (superseded("The call has changed"), None),
        };
        let mut refused = self.refusal_of(&job, refusal.code);
        refused.switch = switch;
        refused.policy = proposal.verdict.version;
        if refusal.code == Code::PolicyDenied {
            refused.policies = named(&proposal.verdict.policies);
        }
        refused.retry_after_ms = refusal.retry_after_ms();
        self.refuse_held(&job, NewEvent::plain(id, EventKind::Refused(refused)))?;
        Ok(Released::Refused(refusal))
    }

    /// Admits a held call; a worker claims it as any other that was queued.
    fn queue(
        &mut self,
        mut job: Job,
        proposal: &Proposal,
        limits: &[(String, Limit)],
        id: EventId,
    ) -> Result<Released, StoreError> {
        let keys = self.take_slots(limits);
        let claims = proposal.tool.is_some_and(ToolSpec::is_command);
        let admitted = event::Admitted {
            call: job.call.clone(),
            epoch: self.state().epoch.clamped(),
            policy: proposal.verdict.version,
            policies: named(&proposal.verdict.policies),
            shadows: named(&proposal.verdict.shadows),
            limits: keys.into_iter().map(Into::into).collect(),
            node: None,
            claim: claims,
            joins: None,
        };
        job.last = self.append(job.last, NewEvent::plain(id, EventKind::Admitted(admitted)))?;
        job.status = Status::Queued;
        job.claim = claims;
        if let Some(place) = place_of(&proposal.resources).filter(|_| claims) {
            self.put(&claim_row(place), &Claim::of(&job.call, &job.credential))?;
        }
        self.put(&job_row(&job.call), &job)?;
        self.delete(&approval_row(&job.account, &job.call));
        Ok(Released::Queued)
    }

    fn refusal_of(&self, job: &Job, code: Code) -> Refused {
        Refused {
            call: job.call.clone(),
            code,
            switch: None,
            policies: Vec::new(),
            policy: 0,
            epoch: self.state().epoch.clamped(),
            retry_after_ms: None,
        }
    }

    /// Ends a held call because a switch covers it.
    pub fn stop_held(&mut self, job: &Job, switch: SwitchId, id: EventId) -> Result<(), StoreError> {
        let mut refused = self.refusal_of(job, Code::KillSwitchEngaged);
        refused.switch = Some(switch);
        self.refuse_held(job, NewEvent::plain(id, EventKind::Refused(refused)))
    }

    /// The end of a held call. What was refused is not remembered: the same idempotency key asks anew.
    fn refuse_held(&mut self, job: &Job, event: NewEvent) -> Result<(), StoreError> {
        self.append(job.last, event)?;
        self.delete(&job_row(&job.call));
        self.delete(&approval_row(&job.account, &job.call));
        self.delete(&open_row(job));
        let Some(name) = &job.idempotency else { return Ok(()) };
        if readable(self.get::<Idempotency>(name)).is_some_and(|row| row.call == job.call) {
            self.delete(name);
        }
        Ok(())
    }
}
