//! Engaging switches, as far as they are not there yet, and ending the queued calls they cover, in one transaction.
//!
//! INVARIANT: a switch is engaged even if the calls that wait cannot be read, or somebody holds their rows; those end in a later
//! transaction, or meet the switch when they are claimed. What is counted is what was found under the switches, and ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::asked::{Asked, Quota, standing};
use crate::core::call::{Outcome, Status};
use crate::core::engagement::Proposed;
use crate::core::id::{CallId, Epoch, EventId, NodeId, Position, SwitchId, UserId};
use crate::core::job::Job;
use crate::core::switch::Running;
use crate::core::time::{Clock, Entropy};
use crate::log::admission::job_row;
use crate::log::chained::Open;
use crate::log::claim::covering;
use crate::log::closing::Closing;
use crate::log::draft::Draft;
use crate::log::sql::SqlError;
use crate::log::store::{StoreError, Want};
use crate::tools::record::{write, write_after};
use crate::tools::{Execution, register};

/// How often stragglers are looked for after the engaging transaction.
const ROUNDS: usize = 3;

/// How long a stop waits for the list of calls that wait.
const READING: Duration = Duration::from_secs(1);

/// How long the answer to a stop waits for calls whose rows somebody holds.
const ENDING: Duration = Duration::from_secs(2);

/// A switch that is to be engaged.
pub(in crate::tools) struct Engagement {
    pub(in crate::tools) proposed: Proposed,
    pub(in crate::tools) running: Running,
    /// The person; none if an agent stops itself.
    pub(in crate::tools) by: Option<UserId>,
    /// A switch that is there already and stops as much will do.
    pub(in crate::tools) once: bool,
}

/// What came of engaging.
pub(in crate::tools) struct Engaged {
    /// The switches, in the order they were asked for.
    pub(in crate::tools) switches: Vec<SwitchId>,
    /// Control state's epoch with them.
    pub(in crate::tools) epoch: Epoch,
    /// How many calls that waited ended, and how many that ran were told to.
    pub(in crate::tools) cancelled: usize,
}

/// Engages all of `engagements`, or none and answers why not.
pub(in crate::tools) async fn engage(execution: &Execution, engagements: Vec<Engagement>) -> Result<Engaged, Outcome> {
    let mut asked = Vec::new();
    for engagement in engagements {
        asked.push(Asked::of(execution, engagement).await?);
    }
    if let Some(standing) = standing(execution, &asked).await? {
        return Ok(standing);
    }
    let (want, drain) = prepare(execution).await;
    let (quota, names) = (Quota::of(execution), execution.ports.names());
    let mut tried = false;
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
        let drained = if std::mem::replace(&mut tried, true) { Drained::later() } else { drain.run(draft)? };
        let told = told(draft, &switches);
        Ok(Ok((switches, draft.state().epoch, drained, told)))
    });
    let (switches, epoch, mut drained, told) = written.await?;
    let mut cancelled = drained.cancelled + told;
    let mut sealed = std::mem::take(&mut drained.sealed);
    for _ in 0..ROUNDS {
        if !drained.stragglers {
            break;
        }
        let (want, drain) = prepare(execution).await;
        drained = match write_after(execution, want, move |draft| drain.run(draft).map(Ok)).await {
            Ok(drained) => drained,
            Err(_) => one_by_one(execution).await,
        };
        cancelled += drained.cancelled;
        sealed.append(&mut drained.sealed);
    }
    execution.ports.forget_seals(&sealed).await;
    Ok(Engaged { switches, epoch, cancelled })
}

/// Each call by itself, since the rows of one of them are held. Those that are not had soon meet the switch later.
async fn one_by_one(execution: &Execution) -> Drained {
    let mut done = Drained { stragglers: false, ..Drained::later() };
    let jobs = waiting(execution).await;
    let ending = async {
        for job in jobs {
            let (want, drain) = prepared(execution, vec![job]);
            let Ok(mut drained) = write_after(execution, want, move |draft| drain.run(draft).map(Ok)).await else { continue };
            done.cancelled += drained.cancelled;
            done.sealed.append(&mut drained.sealed);
        }
    };
    if tokio::time::timeout(ENDING, ending).await.is_err() {
        tracing::warn!("not every call that waits was ended with the switch; they meet it when they are claimed");
    }
    done
}

/// What the transaction has to read to end the calls that wait now.
async fn prepare(execution: &Execution) -> (Want, Drain) {
    let (want, drain) = prepared(execution, waiting(execution).await);
    (Want { kinds: vec!["job", "claim"], ..want }, drain)
}

/// The calls that wait now, as far as they can be read soon.
async fn waiting(execution: &Execution) -> Vec<Job> {
    let asked = tokio::time::timeout(READING, execution.ports.reader.store.state(&["job"])).await;
    let rows = asked.unwrap_or_else(|_| Err(SqlError::TooLong(READING).into())).unwrap_or_else(|error| {
        tracing::error!(%error, "the calls that wait cannot be read; a switch is engaged without ending them");
        Vec::new()
    });
    rows.iter().filter_map(|row| serde_json::from_slice::<Job>(&row.doc).ok()).filter(waits).collect()
}

fn prepared(execution: &Execution, jobs: Vec<Job>) -> (Want, Drain) {
    let mut names: Vec<String> = jobs.iter().map(|job| job_row(&job.call)).collect();
    names.extend(jobs.iter().flat_map(Closing::depends_on));
    let keys: BTreeSet<String> = jobs.iter().filter_map(|job| job.idempotency.clone()).collect();
    let calls: Vec<CallId> = jobs.into_iter().map(|job| job.call).collect();
    let want = Want { names, calls: calls.clone(), ..Want::default() };
    let calls = calls.into_iter().collect();
    let (clock, entropy) = (Arc::clone(&execution.ports.clock), Arc::clone(&execution.ports.entropy));
    (want, Drain { keys, calls, node: execution.ports.node.clone(), clock, entropy })
}

struct Drain {
    /// Idempotency rows that the transaction reads.
    keys: BTreeSet<String>,
    /// Calls whose events it reads.
    calls: BTreeSet<CallId>,
    node: NodeId,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

struct Drained {
    cancelled: usize,
    /// Of these, those whose arguments are sealed.
    sealed: Vec<CallId>,
    /// Calls may be left: they came between the look and the transaction, or their rows were not to be had in it.
    stragglers: bool,
}

impl Drained {
    /// Nothing yet.
    fn later() -> Self {
        Self { cancelled: 0, sealed: Vec::new(), stragglers: true }
    }
}

impl Drain {
    fn run(&self, draft: &mut Draft) -> Result<Drained, StoreError> {
        let mut drained = Drained { cancelled: 0, sealed: Vec::new(), stragglers: false };
        // One that cannot be read meets the switch when it is claimed, and is not claimed.
        let jobs = draft.all_readable::<Job>("job");
        for (_, job) in jobs.into_iter().filter(|(_, job)| waits(job)) {
            let Some(tool) = register::facts_of(&job.tool) else { continue };
            let Some(switch) = covering(draft.state(), &job, tool, draft.now) else { continue };
            let is_read = |key: &String| self.keys.contains(key);
            if !self.calls.contains(&job.call) || !job.idempotency.as_ref().is_none_or(is_read) {
                drained.stragglers = true;
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
fn told(draft: &Draft, switches: &[SwitchId]) -> usize {
    // Of rows that cannot be read it was said in the log why nothing is counted.
    let jobs = draft.all_readable::<Job>("job");
    let (state, now) = (draft.state(), draft.now);
    let is_told = |job: &Job| {
        register::facts_of(&job.tool).is_some_and(|tool| {
            let call = job.covered(tool, state);
            let mut over = state.covering(&call, now).filter(|switch| switch.running == Running::Cancel);
            over.any(|switch| switches.contains(&switch.id))
        })
    };
    jobs.iter().filter(|(_, job)| job.status == Status::Running && is_told(job)).count()
}
