//! Refusals are cheap to make and expensive to store: the first of a kind in a minute are full calls, later ones are
//! counted in a durable row in the same commit, and one `RefusalsCounted` closes the run.
//!
//! ```text
//! run:KEY            how many kinds have a run · the run of all other kinds · the runs of a dead key
//! run:KEY/TOOL[/ID…]  the runs of that tool and of what it is about, by code
//! ```
//!
//! INVARIANT: whatever a caller sends, a key has at most [`KINDS`] runs and one for all the rest, a refusal writes one or two
//! rows of a few hundred bytes, and of a dead key nothing is kept but counts (P13).

use std::collections::BTreeMap;
use std::time::Duration;

use super::draft::{Draft, NewEvent};
use super::row_names::readable;
use super::store::StoreError;
use super::submission::Submission;
use crate::core::code::Code;
use crate::core::event::{EventKind, Refused, named};
use crate::core::id::{CredentialId, EventId, Position, RunId, SwitchId};
use crate::core::job::{Run, Runs};
use crate::core::refusal::Refusal;
use crate::core::time::Micros;

/// Identical refusals in a minute that are recorded as full calls.
const RECORDED: u32 = 20;

/// How long a run lasts.
const MINUTE: Duration = Duration::from_mins(1);

/// Kinds of refusals of one credential that have runs of their own at a time.
const KINDS: u32 = 16;

/// Of these, those of one tool and what it is about, which are one row.
const CODES: usize = 4;

/// A refusal on its way into the log.
pub(super) struct Recording<'a> {
    pub(super) switch: Option<SwitchId>,
    pub(super) refusal: &'a Refusal,
    pub(super) submission: &'a Submission,
}

/// What is refused because of who asks: nothing else is looked at, and nothing else of it is kept.
fn is_of_dead_key(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::TokenRevoked | Code::TokenExpired)
}

/// The row of what has no row of its own.
fn row_of(credential: &CredentialId) -> String {
    format!("run:{credential}")
}

impl Recording<'_> {
    /// The rows in which a refusal of `submission` would be counted.
    pub(super) fn rows(submission: &Submission) -> [String; 2] {
        let intent = &submission.intent;
        let (head, tool) = (row_of(&intent.credential), tool_of(submission));
        let own = intent.resources.iter().fold(format!("{head}/{tool}"), |row, id| format!("{row}/{id}"));
        [head, own]
    }

    fn begun(&self, now: Micros) -> Run {
        let intent = &self.submission.intent;
        Run {
            id: self.submission.run.clone(),
            account: intent.account.clone(),
            tool: tool_of(self.submission).to_owned(),
            resources: intent.resources.clone(),
            code: self.refusal.code,
            mixed: false,
            recorded: 0,
            counted: 0,
            since: now,
            first: now,
            last: now,
        }
    }

    /// A run that does not tell tools apart.
    fn of_any(&self, mixed: bool, now: Micros) -> Run {
        Run { tool: Run::ANY.to_owned(), resources: Vec::new(), mixed, ..self.begun(now) }
    }
}

/// Names that are no tool's are one kind: anybody can make up as many as he likes.
fn tool_of(submission: &Submission) -> &str {
    submission.proposal.tool.map_or(Run::UNKNOWN, |tool| tool.name)
}

/// Takes a run out of its row, or begins one.
fn take(row: &mut Runs, at: Option<usize>, begin: impl FnOnce() -> Run) -> Run {
    at.map_or_else(begin, |at| row.runs.swap_remove(at))
}

impl Draft {
    /// Records a refusal, or counts it; answers the run it was counted in.
    pub(super) fn refuse(&mut self, recording: &Recording<'_>) -> Result<Option<RunId>, StoreError> {
        let [head, own] = Recording::rows(recording.submission);
        // Counts that cannot be read begin anew: that a call was refused is written down whatever became of them.
        let mut common = readable(self.get::<Runs>(&head)).unwrap_or_default();
        let code = recording.refusal.code;
        if is_of_dead_key(code) {
            let at = common.runs.iter().position(|run| !run.mixed && run.code == code);
            let run = take(&mut common, at, || recording.of_any(false, self.at));
            return self.put_counted(&head, &mut common, run, 0, recording);
        }
        let mut kind = readable(self.get::<Runs>(&own)).unwrap_or_default();
        let at = kind.runs.iter().position(|run| run.code == code);
        if at.is_some() || (common.kinds < KINDS && kind.runs.len() < CODES) {
            if at.is_none() {
                common.kinds += 1;
                self.put(&head, &common)?;
            }
            let run = take(&mut kind, at, || recording.begun(self.at));
            return self.put_counted(&own, &mut kind, run, RECORDED, recording);
        }
        let at = common.runs.iter().position(|run| run.mixed);
        let run = take(&mut common, at, || recording.of_any(true, self.at));
        self.put_counted(&head, &mut common, run, RECORDED, recording)
    }

    /// Puts a run back with one more refusal: counted, if `recorded` were recorded in full already.
    fn put_counted(
        &mut self,
        name: &str,
        row: &mut Runs,
        mut run: Run,
        recorded: u32,
        recording: &Recording<'_>,
    ) -> Result<Option<RunId>, StoreError> {
        let (now, submission) = (self.at, recording.submission);
        if now.since(run.since) >= MINUTE {
            let begun = Run {
                id: submission.run.clone(),
                code: recording.refusal.code,
                recorded: 0,
                counted: 0,
                since: now,
                ..run.clone()
            };
            let over = std::mem::replace(&mut run, begun);
            // A refusal has no third event.
            let [_, _, id] = &submission.events;
            self.close_run(over, &submission.intent.credential, id.clone())?;
        }
        let counted = (run.recorded >= recorded).then(|| run.id.clone());
        let others = submission.others;
        if counted.is_some() {
            run.count(now, others.saturating_add(1));
        } else {
            run.recorded += 1;
            run.count(now, others);
        }
        row.runs.push(run);
        self.put(name, row)?;
        if counted.is_none() {
            self.record_refusal(recording)?;
        }
        Ok(counted)
    }

    fn record_refusal(&mut self, recording: &Recording<'_>) -> Result<(), StoreError> {
        let submission = recording.submission;
        let intent = self.record_intent(submission, submission.brief.as_ref().unwrap_or(&submission.parts))?;
        let verdict = &submission.proposal.verdict;
        let by_policy = matches!(recording.refusal.code, Code::PolicyDenied | Code::ApprovalRequired);
        let refused = Refused {
            call: submission.proposal.call.clone(),
            code: recording.refusal.code,
            switch: recording.switch.clone(),
            policies: if by_policy { named(&verdict.policies) } else { Vec::new() },
            policy: verdict.version,
            epoch: self.state().epoch.clamped(),
            retry_after_ms: recording.refusal.retry_after_ms(),
        };
        let [_, decision, _] = &submission.events;
        self.append(intent, NewEvent::plain(decision.clone(), EventKind::Refused(refused))).map(|_| ())
    }

    /// Closes the runs whose minute is over, all of them if `all`. `ids` makes an id for each event.
    pub fn close_runs(&mut self, all: bool, ids: &mut dyn FnMut() -> EventId) -> Result<(), StoreError> {
        let mut closed: BTreeMap<CredentialId, u32> = BTreeMap::new();
        for (name, mut row) in self.all_readable::<Runs>("run") {
            let (key, is_common) = match name.strip_prefix("run:").and_then(|rest| rest.split_once('/')) {
                Some((key, _)) => (key, false),
                None => (name.strip_prefix("run:").unwrap_or_default(), true),
            };
            let Ok(credential) = key.parse::<CredentialId>() else {
                tracing::error!(row = name, "a run of refusals is nobody's");
                continue;
            };
            let (over, open): (Vec<Run>, Vec<Run>) =
                row.runs.into_iter().partition(|run| all || self.at.since(run.since) >= MINUTE);
            if over.is_empty() {
                continue;
            }
            if !is_common {
                *closed.entry(credential.clone()).or_default() += u32::try_from(over.len()).unwrap_or(u32::MAX);
            }
            for run in over {
                self.close_run(run, &credential, ids())?;
            }
            row.runs = open;
            self.put_or_drop(&name, &row)?;
        }
        for (credential, closed) in closed {
            let name = row_of(&credential);
            let Some(row) = readable(self.get::<Runs>(&name)) else { continue };
            self.put_or_drop(&name, &Runs { kinds: row.kinds.saturating_sub(closed), ..row })?;
        }
        Ok(())
    }

    fn put_or_drop(&mut self, name: &str, row: &Runs) -> Result<(), StoreError> {
        if row.kinds == 0 && row.runs.is_empty() {
            self.delete(name);
            return Ok(());
        }
        self.put(name, row)
    }

    fn close_run(&mut self, run: Run, credential: &CredentialId, id: EventId) -> Result<(), StoreError> {
        if run.counted == 0 {
            return Ok(());
        }
        self.append(Position(0), NewEvent::plain(id, run.closed(credential.clone()))).map(drop)
    }
}

impl Run {
    fn count(&mut self, now: Micros, more: u32) {
        if more == 0 {
            return;
        }
        if self.counted == 0 {
            self.first = now;
        }
        self.counted = self.counted.saturating_add(more.into());
        self.last = now;
    }

    fn closed(self, credential: CredentialId) -> EventKind {
        let Self { id: run, account, tool, resources, code, mixed, counted: count, first, last, .. } = self;
        EventKind::RefusalsCounted { run, account, credential, tool: tool.into(), resources, code, count, first, last, mixed }
    }
}
