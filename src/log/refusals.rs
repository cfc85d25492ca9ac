//! Refusals are cheap to make and expensive to store: the first of a kind in a minute are full calls, later ones are
//! counted in a durable row in the same commit, and one `RefusalsCounted` closes the run.

use std::time::Duration;

use super::admission::Submission;
use super::draft::{Draft, NewEvent};
use super::store::StoreError;
use crate::core::code::Code;
use crate::core::event::{Kind, Refused};
use crate::core::id::{CredentialId, EventId, Position, RunId, SwitchId};
use crate::core::job::Run;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;

/// Identical refusals in a minute that are recorded as full calls.
const RECORDED: u32 = 20;

/// How long a run lasts.
const MINUTE: Duration = Duration::from_mins(1);

/// Runs that one credential may have open at once; further kinds are recorded in full.
const KINDS: usize = 256;

/// A refusal on its way into the log.
pub(super) struct Recording<'a> {
    pub(super) switch: Option<SwitchId>,
    pub(super) refusal: &'a Refusal,
    pub(super) submission: &'a Submission,
}

impl Recording<'_> {
    /// The row that holds a credential's runs.
    pub(super) fn row(credential: &CredentialId) -> String {
        format!("run:{credential}")
    }

    fn is_same(&self, run: &Run) -> bool {
        let (intent, code) = (&self.submission.intent, self.refusal.code);
        run.tool == intent.tool && run.vm == intent.vm && run.code == code
    }
}

impl Draft {
    /// Records a refusal, or counts it; answers the run it was counted in.
    pub(super) fn refuse(&mut self, recording: &Recording<'_>) -> Result<Option<RunId>, StoreError> {
        let row = Recording::row(&recording.submission.proposal.principal.credential);
        let mut runs: Vec<Run> = self.get(&row)?.unwrap_or_default();
        let now = self.now;
        let kinds = runs.len();
        let open = runs.iter_mut().find(|run| recording.is_same(run) && now.since(run.since) < MINUTE);
        let counted = match open {
            Some(run) if run.recorded >= RECORDED => {
                run.count(now);
                Some(run.id.clone())
            }
            Some(run) => {
                run.recorded += 1;
                None
            }
            None if kinds >= KINDS => None,
            None => {
                runs.push(first_of(recording, now));
                None
            }
        };
        self.put(&row, &runs)?;
        if counted.is_none() {
            self.record_refusal(recording)?;
        }
        Ok(counted)
    }

    fn record_refusal(&mut self, recording: &Recording<'_>) -> Result<(), StoreError> {
        let submission = recording.submission;
        let intent = self.record_intent(submission)?;
        let verdict = &submission.proposal.verdict;
        let by_policy = matches!(recording.refusal.code, Code::PolicyDenied | Code::ApprovalRequired);
        let refused = Refused {
            call: submission.proposal.call.clone(),
            code: recording.refusal.code,
            switch: recording.switch.clone(),
            policies: if by_policy { verdict.policies.clone() } else { Vec::new() },
            policy: verdict.version,
            epoch: self.state().epoch,
            retry_after_ms: recording.refusal.retry_after_ms(),
        };
        let [_, decision, _] = &submission.events;
        self.append(intent, NewEvent::plain(decision.clone(), Kind::Refused(refused))).map(|_| ())
    }

    /// Closes the runs whose minute is over, all of them if `all`. `ids` makes an id for each event.
    pub fn close_runs(&mut self, all: bool, ids: &mut dyn FnMut() -> EventId) -> Result<(), StoreError> {
        for (name, runs) in self.all::<Vec<Run>>("run")? {
            let (over, open): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| all || self.now.since(run.since) >= MINUTE);
            if over.is_empty() {
                continue;
            }
            let credential: Option<CredentialId> = name.split_once(':').and_then(|(_, id)| id.parse().ok());
            let Some(credential) = credential else { return Err(StoreError::Unreadable(name)) };
            for run in over.into_iter().filter(|run| run.counted > 0) {
                self.append(Position(0), NewEvent::plain(ids(), run.closed(credential.clone())))?;
            }
            if open.is_empty() { self.delete(&name) } else { self.put(&name, &open)? }
        }
        Ok(())
    }
}

fn first_of(recording: &Recording<'_>, now: Micros) -> Run {
    let intent = &recording.submission.intent;
    Run {
        id: recording.submission.run.clone(),
        account: intent.account.clone(),
        tool: intent.tool.clone(),
        vm: intent.vm.clone(),
        code: recording.refusal.code,
        recorded: 1,
        counted: 0,
        since: now,
        first: now,
        last: now,
    }
}

impl Run {
    fn count(&mut self, now: Micros) {
        if self.counted == 0 {
            self.first = now;
        }
        self.counted += 1;
        self.last = now;
    }

    fn closed(self, credential: CredentialId) -> Kind {
        let Self { id: run, account, tool, vm, code, counted: count, first, last, .. } = self;
        Kind::RefusalsCounted { run, account, credential, tool, vm, code, count, first, last }
    }
}
