//! Engaging switches, as far as they are not there yet, and ending the queued calls they cover.
//!
//! INVARIANT: a switch is engaged even if the calls that wait cannot be read, are too many, or somebody holds their rows; those end in
//! a later transaction, or meet the switch when they are claimed. The transaction that engages reads no more than [`PAGE`] of them,
//! by name. What is counted is what was found under the switches, and ended.

use std::time::Duration;

use crate::core::call::Outcome;
use crate::core::commands::switch::{Again, Asked, Engage, Engager, Standing};
use crate::core::covering;
use crate::core::engagement::Proposed;
use crate::core::id::{Epoch, SwitchId};
use crate::core::job::Job;
use crate::core::state::ControlState;
use crate::core::switch::{Running, Target};
use crate::log::changing::{Author, Note};
use crate::log::draining::{Covered, Drained, waits};
use crate::log::sql::SqlError;
use crate::log::store::StoreError;
use crate::tools::Execution;
use crate::tools::record::{change, note};
use crate::tools::under_way::{OpenCalls, PAGE};

/// How long a stop waits for the list of open calls.
const READING: Duration = Duration::from_secs(1);

/// How long the answer to a stop waits for what is left of the calls that wait.
const ENDING: Duration = Duration::from_secs(2);

/// A switch that is to be engaged.
pub(in crate::tools) struct Engagement {
    pub(in crate::tools) proposed: Proposed,
    pub(in crate::tools) running: Running,
    /// When a switch that is there already will do.
    pub(in crate::tools) again: Again,
}

impl Engagement {
    /// The same with ids, and its text sealed.
    async fn asked(self, execution: &Execution) -> Result<(Asked, Note), Outcome> {
        let Self { proposed, running, again } = self;
        let switch = SwitchId::new(execution.ports.clock.now(), &*execution.ports.entropy);
        let note = note(execution, &execution.principal.account, proposed.note()).await?;
        Ok((Asked { switch, proposed, running, again, event: note.id() }, note))
    }
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

/// Engages all of `engagements`, or none and answers why not. A person is named as who did; an agent that stops itself is not.
pub(in crate::tools) async fn engage(
    execution: &Execution,
    is_named: bool,
    engagements: Vec<Engagement>,
) -> Result<Engaged, Outcome> {
    let (mut asked, mut notes) = (Vec::new(), Vec::new());
    for engagement in engagements {
        let (one, note) = engagement.asked(execution).await?;
        asked.push(one);
        notes.push(note);
    }
    if asked.iter().all(|asked| asked.again != Again::Another) {
        // A look that ends no calls: if all of them are there, there are none to end.
        let there =
            change(execution, None, Standing { asked: asked.clone(), by: execution.principal.credential.clone() }).await?;
        if let Some(switches) = there.answer {
            return Ok(Engaged { switches, epoch: there.state.epoch, cancelled: 0 });
        }
    }
    let under = Under(asked.iter().map(|asked| asked.proposed.target.clone()).collect());
    let first = under.first(execution).await;
    let by = Some(Engager { who: execution.principal.clone(), is_named });
    let engage = Engage { asked, by, names: execution.ports.names() };
    let (author, ids, writer) = (execution.author(), execution.ids(), &execution.ports.writer);
    let engaged = writer.engage(author, ids, notes, engage, covered(execution, first)).await?;
    let (changed, mut drained) = engaged.map_err(Outcome::Failed)?;
    // Nothing that is covered is admitted any more: what is open now is all there is.
    let rest = rest(execution, &under).await;
    drained.cancelled += rest.cancelled;
    drained.sealed.extend(rest.sealed);
    execution.ports.forget_seals(&drained.sealed).await;
    Ok(Engaged { switches: changed.answer, epoch: changed.state.epoch, cancelled: drained.cancelled })
}

fn covered(execution: &Execution, jobs: Vec<Job>) -> Covered {
    Covered { jobs, facts: execution.ports.facts, node: execution.ports.node.clone() }
}

/// What waits under the switches after they were engaged. Calls that are not had soon meet the switch later.
async fn rest(execution: &Execution, under: &Under) -> Drained {
    let mut done = Drained::default();
    let ending = async {
        let mut walk = OpenCalls::default();
        while let Some(open) = under.next(&mut walk, execution).await? {
            end(execution, open.into_iter().filter(waits).collect(), &mut done).await;
        }
        Ok::<(), StoreError>(())
    };
    match tokio::time::timeout(ENDING, ending).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the open calls cannot be read; they meet the switch when they are claimed"),
        Err(_) => tracing::warn!("not every call that waits was ended with the switch; they meet it when they are claimed"),
    }
    done
}

/// Ends calls in one transaction, or if that does not hold, each in its own.
async fn end(execution: &Execution, jobs: Vec<Job>, done: &mut Drained) {
    let mut attempts = vec![jobs];
    while let Some(jobs) = attempts.pop().filter(|jobs| !jobs.is_empty()) {
        let (author, ids) = (Author::AfterStop(Box::new(execution.acting())), execution.ids());
        match execution.ports.writer.drain(author, ids, covered(execution, jobs.clone())).await {
            Ok(Ok(drained)) => {
                done.cancelled += drained.cancelled;
                done.sealed.extend(drained.sealed);
            }
            _ if jobs.len() > 1 => attempts.extend(jobs.into_iter().map(|job| vec![job])),
            _ => {}
        }
    }
}

/// What is to be stopped.
struct Under(Vec<Target>);

impl Under {
    /// The open calls of the next page that these targets cover.
    async fn next(&self, walk: &mut OpenCalls, execution: &Execution) -> Result<Option<Vec<Job>>, StoreError> {
        let covers = |call: &covering::Covered<'_>, state: &ControlState| self.0.iter().any(|target| target.covers(call, state));
        walk.next(&execution.ports, execution.ports.facts, covers).await
    }

    /// The first of them, as far as they can be read soon.
    async fn first(&self, execution: &Execution) -> Vec<Job> {
        let (mut walk, mut first) = (OpenCalls::default(), Vec::new());
        let reading = async {
            while first.len() < PAGE
                && let Some(open) = self.next(&mut walk, execution).await?
            {
                first.extend(open);
            }
            Ok(())
        };
        let read = tokio::time::timeout(READING, reading).await;
        if let Err(error) = read.unwrap_or_else(|_| Err(StoreError::from(SqlError::TooLong(READING)))) {
            tracing::error!(%error, found = first.len(), "not every open call can be read; a switch is engaged all the same");
        }
        first.truncate(PAGE);
        first
    }
}
