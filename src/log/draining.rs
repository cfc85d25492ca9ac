//! Engaging switches and ending the calls they cover that no worker has taken, in one transaction.
//!
//! INVARIANT: a switch is engaged even if the calls that wait cannot be read or ended: a transaction that did not hold is tried
//! again without them. What is not what the log says meets the switch when it is claimed, and is not claimed.

use std::collections::BTreeSet;

use super::call_rows::OpenCallRow;
use super::changing::{Author, Changed, Ids, Note};
use super::claim::covering;
use super::closing::Closing;
use super::draft::Draft;
use super::row_names::job_row;
use super::store::{StoreError, Want};
use super::writer::{WriteError, Writer};
use crate::core::call::Status;
use crate::core::commands::switch::Engage;
use crate::core::id::{CallId, NodeId, SwitchId};
use crate::core::job::Job;
use crate::core::refusal::Refusal;
use crate::core::switch::Running;
use crate::core::tool::ToolSpec;

/// Open calls that a switch is to end, as they were found before the transaction.
pub struct Covered {
    /// The calls.
    pub jobs: Vec<Job>,
    /// What is known of a tool by its name.
    pub facts: fn(&str) -> Option<&'static ToolSpec>,
    /// The node that ends them.
    pub node: NodeId,
}

/// What became of them.
#[derive(Default)]
pub struct Drained {
    /// How many were ended, or told to.
    pub cancelled: usize,
    /// Of these, those whose arguments are sealed.
    pub sealed: Vec<CallId>,
}

impl Writer {
    /// Engages switches, ends the calls under them that wait, and counts those that run and are told to end.
    pub async fn engage(
        &self,
        author: Author,
        mut ids: Ids,
        notes: Vec<Note>,
        engage: Engage,
        covered: Covered,
    ) -> Result<Result<(Changed<Vec<SwitchId>>, Drained), Refusal>, WriteError> {
        let (drain, mut tried) = (Drain::of(&covered), false);
        self.act(author, drain.want(&covered), move |draft| {
            ids.rewind();
            let changed = match draft.change(&engage, &notes, &mut ids)? {
                Ok(changed) => changed,
                Err(refusal) => return Ok(Err(refusal)),
            };
            // What did not hold may not have held because of the calls.
            let drained = if std::mem::replace(&mut tried, true) { Drained::default() } else { drain.run(draft, &mut ids)? };
            let told = drain.told(draft, &changed.answer);
            Ok(Ok((changed, Drained { cancelled: drained.cancelled + told, ..drained })))
        })
        .await
    }

    /// Ends calls that wait under switches which are engaged already.
    pub async fn drain(&self, author: Author, mut ids: Ids, covered: Covered) -> Result<Result<Drained, Refusal>, WriteError> {
        let drain = Drain::of(&covered);
        self.act(author, drain.want(&covered), move |draft| {
            ids.rewind();
            drain.run(draft, &mut ids).map(Ok)
        })
        .await
    }
}

/// What no worker has taken yet.
#[must_use]
pub fn waits(job: &Job) -> bool {
    matches!(job.status, Status::Queued | Status::Held)
}

struct Drain {
    /// Idempotency rows that the transaction reads.
    keys: BTreeSet<String>,
    /// Calls whose events it reads.
    calls: BTreeSet<CallId>,
    facts: fn(&str) -> Option<&'static ToolSpec>,
    node: NodeId,
}

impl Drain {
    fn of(covered: &Covered) -> Self {
        let waiting = || covered.jobs.iter().filter(|job| waits(job));
        Self {
            keys: waiting().filter_map(|job| job.idempotency.clone()).collect(),
            calls: waiting().map(|job| job.call.clone()).collect(),
            facts: covered.facts,
            node: covered.node.clone(),
        }
    }

    fn want(&self, covered: &Covered) -> Want {
        let mut names: Vec<String> = covered.jobs.iter().map(|job| job_row(&job.call)).collect();
        names.extend(covered.jobs.iter().filter(|job| waits(job)).flat_map(Closing::depends_on));
        Want { names, calls: self.calls.iter().cloned().collect(), ..Want::default() }
    }

    fn run(&self, draft: &mut Draft, ids: &mut Ids) -> Result<Drained, StoreError> {
        let mut drained = Drained::default();
        // One that cannot be read meets the switch when it is claimed, and is not claimed.
        let jobs = draft.all_readable::<Job>("job");
        for (_, job) in jobs.into_iter().filter(|(_, job)| waits(job)) {
            let Some(tool) = (self.facts)(&job.tool) else { continue };
            let Some(switch) = covering(draft.state(), &job, tool, draft.now) else { continue };
            let is_read = |key: &String| self.keys.contains(key);
            if !self.calls.contains(&job.call) || !job.idempotency.as_ref().is_none_or(is_read) {
                continue;
            }
            let Ok(OpenCallRow::Fits(job, _)) = draft.open(&job.call, Some(tool)) else { continue };
            if job.status == Status::Held {
                draft.stop_held(&job, switch, ids.draw())?;
            } else {
                draft.cancel_for(&job, switch, self.node.clone(), ids.draw())?;
            }
            drained.cancelled += 1;
            drained.sealed.extend(job.sealed.then_some(job.call));
        }
        Ok(drained)
    }

    /// How many calls run under these switches that end what runs: each node cancels its own as soon as it knows of them.
    fn told(&self, draft: &Draft, switches: &[SwitchId]) -> usize {
        // Of rows that cannot be read it was said in the log why nothing is counted.
        let jobs = draft.all_readable::<Job>("job");
        let (state, now) = (draft.state(), draft.now);
        let is_recorded = |job: &Job| {
            (self.facts)(&job.tool).is_some_and(|tool| {
                let call = job.properties(tool);
                let mut over = state.covering(&call, now).filter(|switch| switch.running == Running::Cancel);
                over.any(|switch| switches.contains(&switch.id))
            })
        };
        jobs.iter().filter(|(_, job)| job.status == Status::Running && is_recorded(job)).count()
    }
}
