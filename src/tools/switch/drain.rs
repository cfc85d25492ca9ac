//! Engaging switches, as far as they are not there yet, and ending the queued calls they cover, in one transaction.
//!
//! INVARIANT: a switch is engaged even if the calls that wait cannot be read, are too many, or somebody holds their rows; those end in
//! a later transaction, or meet the switch when they are claimed. The transaction that engages reads no more than [`AT_ONCE`] of them,
//! by name. What is counted is what was found under the switches, and ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::asked::{Asked, Engaged, Engagement, Quota, standing};
use crate::core::call::{Outcome, Status};
use crate::core::id::{CallId, EventId, NodeId, Position, SwitchId};
use crate::core::job::Job;
use crate::core::switch::{Running, Target};
use crate::core::time::{Clock, Entropy};
use crate::log::admission::job_row;
use crate::log::chained::Open;
use crate::log::claim::covering;
use crate::log::closing::Closing;
use crate::log::draft::Draft;
use crate::log::sql::SqlError;
use crate::log::store::{StoreError, Want};
use crate::tools::record::{write, write_after};
use crate::tools::under_way::open_calls;
use crate::tools::{Execution, FactsOf};

/// How many open calls one transaction reads to end them.
const AT_ONCE: usize = 500;

/// How long a stop waits for the list of open calls.
const READING: Duration = Duration::from_secs(1);

/// How long the answer to a stop waits for what is left of the calls that wait.
const ENDING: Duration = Duration::from_secs(2);

/// Engages all of `engagements`, or none and answers why not.
pub(in crate::tools) async fn engage(execution: &Execution, engagements: Vec<Engagement>) -> Result<Engaged, Outcome> {
    let mut asked = Vec::new();
    for engagement in engagements {
        asked.push(Asked::of(execution, engagement).await?);
    }
    if let Some(standing) = standing(execution, &asked).await? {
        return Ok(standing);
    }
    let under = Under(asked.iter().map(|asked| asked.proposed.target.clone()).collect());
    let mut first = under.open(execution).await;
    first.truncate(AT_ONCE);
    let (want, drain) = prepared(execution, first);
    let (quota, names) = (Quota::of(execution), execution.ports.names());
    let (mut tried, facts) = (false, execution.ports.facts);
    let written = write(execution, want, move |draft| {
        let fits = asked.iter().try_for_each(|asked| asked.proposed.check(draft.state(), &names, draft.now));
        if let Err(refusal) = fits.and_then(|()| quota.check(draft.state(), &asked)) {
            return Ok(Err(refusal));
        }
        let mut switches = Vec::new();
        for asked in &asked {
            let there = asked.standing(draft.state()).filter(|_| asked.once);
            if there.is_none() {
                draft.append(Position(0), asked.event.clone())?;
            }
            switches.push(there.unwrap_or_else(|| asked.switch.clone()));
        }
        // What did not hold may not have held because of the calls.
        let drained = if std::mem::replace(&mut tried, true) { Drained::default() } else { drain.run(draft)? };
        let told = told(draft, &switches, facts);
        Ok(Ok((switches, draft.state().epoch, drained, told)))
    });
    let (switches, epoch, mut drained, told) = written.await?;
    // Nothing that is covered is admitted any more: what is open now is all there is.
    let rest = rest(execution, &under).await;
    drained.cancelled += rest.cancelled;
    drained.sealed.extend(rest.sealed);
    execution.ports.forget_seals(&drained.sealed).await;
    Ok(Engaged { switches, epoch, cancelled: drained.cancelled + told })
}

/// What waits under the switches after they were engaged: in transactions of many, and where one of those does not hold, each call by
/// itself. Those that are not had soon meet the switch later.
async fn rest(execution: &Execution, under: &Under) -> Drained {
    let mut done = Drained::default();
    let ending = async {
        let waiting: Vec<Job> = under.open(execution).await.into_iter().filter(waits).collect();
        for jobs in waiting.chunks(AT_ONCE) {
            let mut attempts: Vec<Vec<Job>> = vec![jobs.to_vec()];
            while let Some(jobs) = attempts.pop() {
                let (want, drain) = prepared(execution, jobs.clone());
                match write_after(execution, want, move |draft| drain.run(draft).map(Ok)).await {
                    Ok(drained) => {
                        done.cancelled += drained.cancelled;
                        done.sealed.extend(drained.sealed);
                    }
                    Err(_) if jobs.len() > 1 => attempts.extend(jobs.into_iter().map(|job| vec![job])),
                    Err(_) => {}
                }
            }
        }
    };
    if tokio::time::timeout(ENDING, ending).await.is_err() {
        tracing::warn!("not every call that waits was ended with the switch; they meet it when they are claimed");
    }
    done
}

/// What is to be stopped.
struct Under(Vec<Target>);

impl Under {
    /// The open calls that these targets cover, as far as they can be read soon.
    async fn open(&self, execution: &Execution) -> Vec<Job> {
        let open = open_calls(&execution.ports, execution.ports.facts, |call, state| {
            self.0.iter().any(|target| target.covers(call, state))
        });
        let open = tokio::time::timeout(READING, open).await.unwrap_or_else(|_| Err(SqlError::TooLong(READING).into()));
        open.unwrap_or_else(|error| {
            tracing::error!(%error, "the open calls cannot be read; a switch is engaged without ending them");
            Vec::new()
        })
    }
}

fn prepared(execution: &Execution, jobs: Vec<Job>) -> (Want, Drain) {
    let mut names: Vec<String> = jobs.iter().map(|job| job_row(&job.call)).collect();
    let waiting: Vec<Job> = jobs.into_iter().filter(waits).collect();
    names.extend(waiting.iter().flat_map(Closing::depends_on));
    let keys: BTreeSet<String> = waiting.iter().filter_map(|job| job.idempotency.clone()).collect();
    let calls: Vec<CallId> = waiting.into_iter().map(|job| job.call).collect();
    let want = Want { names, calls: calls.clone(), ..Want::default() };
    let calls = calls.into_iter().collect();
    let (clock, entropy) = (Arc::clone(&execution.ports.clock), Arc::clone(&execution.ports.entropy));
    (want, Drain { keys, calls, facts: execution.ports.facts, node: execution.ports.node.clone(), clock, entropy })
}

struct Drain {
    /// Idempotency rows that the transaction reads.
    keys: BTreeSet<String>,
    /// Calls whose events it reads.
    calls: BTreeSet<CallId>,
    facts: FactsOf,
    node: NodeId,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Default)]
struct Drained {
    cancelled: usize,
    /// Of these, those whose arguments are sealed.
    sealed: Vec<CallId>,
}

impl Drain {
    fn run(&self, draft: &mut Draft) -> Result<Drained, StoreError> {
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
            // What is not what the log says meets the switch when it is claimed, and is not claimed.
            let Ok(Open::Fits(job, _)) = draft.open(&job.call, Some(tool)) else { continue };
            let id = EventId::new(self.clock.now(), &*self.entropy);
            if job.status == Status::Held {
                draft.stop_held(&job, switch, id)?;
            } else {
                draft.cancel_for(&job, switch, self.node.clone(), id)?;
            }
            drained.cancelled += 1;
            drained.sealed.extend(job.sealed.then_some(job.call));
        }
        Ok(drained)
    }
}

/// What no worker has taken yet.
fn waits(job: &Job) -> bool {
    matches!(job.status, Status::Queued | Status::Held)
}

/// How many calls run under these switches that end what runs: each node cancels its own as soon as it knows of them.
fn told(draft: &Draft, switches: &[SwitchId], facts: FactsOf) -> usize {
    // Of rows that cannot be read it was said in the log why nothing is counted.
    let jobs = draft.all_readable::<Job>("job");
    let (state, now) = (draft.state(), draft.now);
    let is_told = |job: &Job| {
        facts(&job.tool).is_some_and(|tool| {
            let call = job.covered(tool);
            let mut over = state.covering(&call, now).filter(|switch| switch.running == Running::Cancel);
            over.any(|switch| switches.contains(&switch.id))
        })
    };
    jobs.iter().filter(|(_, job)| job.status == Status::Running && is_told(job)).count()
}
