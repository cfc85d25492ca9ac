//! Reconciling: asking the provider what became of a call that ended `unknown`, and freeing the place for a command once its
//! process is known to be gone (P4). What is looked for there is what the tool's facts say that it leaves.
//!
//! INVARIANT: what a provider says of a call counts only where the journal of every node that ran the call is read: there is
//! nothing of another node's call in a journal, and nothing follows from that. Each resource is asked about by itself, and so is each
//! call that is about none ([`super::retry_schedule`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Worker;
use super::retry_schedule::{Answered, RetrySlot, Topic};
use crate::core::id::{AccountId, CallId, NodeId};
use crate::core::job::{Claim, Job};
use crate::core::resource::{Resource, ResourceId};
use crate::core::state::ControlState;
use crate::core::tool::EffectKind;
use crate::log::changing::{Author, Ids};
use crate::log::clearing::Grounds;
use crate::log::store::StoreError;
use crate::providers::compute::{Compute, Effect, JobState, MachineRef, PowerState, ProviderError};

/// How long one question may take; a guest that answers each time in the last moment is still heard.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What takes longer is late.
const PROMPT: Duration = Duration::from_secs(2);

/// Whom to ask, and for whom.
struct Whom {
    account: AccountId,
    provider: String,
    /// What is asked about there; none of what is about no resource.
    machine: Option<MachineRef>,
}

impl Whom {
    fn has(resource: Resource) -> Option<Self> {
        let machine = resource.machine.map(MachineRef);
        Some(Self { account: resource.account, provider: resource.provider?, machine })
    }
}

/// What there is to ask about one topic.
struct Due {
    whom: Whom,
    jobs: Vec<Job>,
    claim: Option<CallId>,
}

impl Due {
    fn of(whom: Whom) -> Self {
        Self { whom, jobs: Vec::new(), claim: None }
    }
}

/// What a question came to.
enum Word {
    /// This.
    Effect(Effect),
    /// Nothing yet: the provider is not done with it.
    Later,
    /// Nothing: nobody answered.
    Silence,
    /// Another node has the journal.
    Elsewhere,
}

impl Worker {
    /// Asks about what ended `unknown`, on whatever node, and about places whose command did.
    pub(super) async fn reconcile_until(self: Arc<Self>, stop: CancellationToken) {
        // What is asked ends with this.
        let mut asking = JoinSet::new();
        loop {
            let all_asked = match self.due().await {
                Ok(due) => self.ask_about(due, &mut asking),
                Err(error) => {
                    tracing::error!(%error, "calls to reconcile cannot be looked up");
                    true
                }
            };
            while asking.try_join_next().is_some() {}
            let pause = async {
                tokio::select! {
                    () = tokio::time::sleep(self.lease / 3) => {}
                    () = self.turns.freed(), if !all_asked => {}
                }
            };
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Questions that are due, by topic. A call whose provider does not exist is recorded as not reconcilable at once.
    async fn due(&self) -> Result<BTreeMap<Topic, Due>, StoreError> {
        let rows = self.control.ports.reader.store.state(&["unknown", "claim"]).await?;
        let state = self.control.ports.fence().state();
        let mut due: BTreeMap<Topic, Due> = BTreeMap::new();
        for row in &rows {
            let of = row.name.split_once(':').map(|(kind, of)| (kind, of.to_owned()));
            match of {
                Some(("unknown", _)) => {
                    let Ok(job) = serde_json::from_slice::<Job>(&row.doc) else { continue };
                    match self.whom(&job, &state) {
                        Some((topic, whom)) => due.entry(topic).or_insert_with(|| Due::of(whom)).jobs.push(job),
                        None => self.note(&job.call, Effect::CannotTell).await,
                    }
                }
                Some((_, place)) => {
                    let (Ok(claim), Ok(id)) = (serde_json::from_slice::<Claim>(&row.doc), place.parse::<ResourceId>()) else {
                        continue;
                    };
                    let Some(whom) = state.resource(&id).and_then(Whom::has).filter(|_| claim.unknown) else { continue };
                    due.entry(Topic::Resource(id)).or_insert_with(|| Due::of(whom)).claim = Some(claim.call);
                }
                None => {}
            }
        }
        Ok(due)
    }

    /// What the facts of a call's tool say that it leaves outside.
    fn effect_of(&self, job: &Job) -> Option<EffectKind> {
        let declared = self.control.catalogue.get(&job.tool).and_then(|tool| tool.facts.effect);
        // Of a tool that there is no more, a call that held a place was a command.
        declared.or_else(|| job.claim.then_some(EffectKind::Command))
    }

    /// Whom to ask about a call: for a creation the provider that was recorded with it, else that of its first resource which has
    /// one.
    fn whom(&self, job: &Job, state: &ControlState) -> Option<(Topic, Whom)> {
        let provider = match job.providers.as_slice() {
            [one] if self.effect_of(job) == Some(EffectKind::Creation) || job.resources.is_empty() => Some(one.to_string()),
            _ => None,
        };
        if let Some(provider) = provider {
            let whom = Whom { account: job.account.clone(), provider, machine: None };
            return Some((Topic::Call(job.call.clone()), whom));
        }
        let of = |id: &ResourceId| Some((Topic::Resource(id.clone()), Whom::has(state.resource(id)?)?));
        job.resources.iter().find_map(of)
    }

    /// Begins to ask about each topic that there is a place for; answers whether that was all of them.
    fn ask_about(self: &Arc<Self>, mut due: BTreeMap<Topic, Due>, asking: &mut JoinSet<()>) -> bool {
        let mut order: Vec<Topic> = due.keys().cloned().collect();
        self.turns.order(&mut order);
        let mut all_asked = true;
        for topic in order {
            let Some(due) = due.remove(&topic) else { continue };
            match self.turns.take(&topic, &due.whom.account, &due.whom.provider) {
                Ok(Some(turn)) => {
                    asking.spawn(Arc::clone(self).settle(topic, due, turn));
                }
                Ok(None) => {}
                Err(()) => all_asked = false,
            }
        }
        all_asked
    }

    async fn settle(self: Arc<Self>, topic: Topic, due: Due, turn: RetrySlot) {
        let clock = &self.control.ports.clock;
        let begun = clock.elapsed();
        let answered = match self.ask_all(&topic, due).await {
            Answered::Yes => match clock.elapsed().saturating_sub(begun) {
                took if took > PROMPT => Answered::Late(took),
                _ => Answered::Yes,
            },
            other => other,
        };
        turn.end(answered).await;
    }

    /// Asks one question after the other. A guest that did not answer one is asked no other; its machine's power is no matter of
    /// the guest's.
    async fn ask_all(&self, topic: &Topic, due: Due) -> Answered {
        let Due { whom: Whom { provider, machine, .. }, mut jobs, claim } = due;
        let Some(compute) = self.control.ports.provider(&provider) else { return Answered::Elsewhere };
        let (mut elsewhere, mut silent) = (false, false);
        let commands_last = |job: &Job| job.claim;
        jobs.sort_by_key(commands_last);
        if let (Some(call), Topic::Resource(id), Some(machine)) = (claim, topic, &machine) {
            if self.journal_covers(&**compute, &call).await {
                match within(is_gone(&**compute, machine, &call)).await {
                    Ok(true) => self.clear(id, call).await,
                    Ok(false) => {}
                    Err(_) => silent = true,
                }
            } else {
                elsewhere = true;
            }
        }
        for job in jobs.iter().filter(|job| !job.claim || !silent) {
            match self.ask(&**compute, machine.as_ref(), job).await {
                Word::Effect(effect) => self.note(&job.call, effect).await,
                Word::Later => {}
                Word::Silence => return Answered::No,
                Word::Elsewhere => elsewhere = true,
            }
        }
        match (silent, elsewhere) {
            (true, _) => Answered::No,
            (false, true) => Answered::Elsewhere,
            (false, false) => Answered::Yes,
        }
    }

    /// Whether it happened, if anybody can tell.
    async fn ask(&self, compute: &dyn Compute, machine: Option<&MachineRef>, job: &Job) -> Word {
        // What leaves nothing at a provider is not asked about: it would wrongly say that it did not happen.
        let Some(effect) = self.effect_of(job) else { return Word::Effect(Effect::CannotTell) };
        if !self.journal_covers(compute, &job.call).await {
            return Word::Elsewhere;
        }
        let told = within(async {
            match (effect, machine) {
                (EffectKind::Command, Some(machine)) => command_effect(compute, machine, &job.call).await,
                (EffectKind::Change, Some(machine)) => match compute.find_change(machine, &job.call).await {
                    Err(ProviderError::NotFound(_)) => Ok(Effect::CannotTell),
                    found => found,
                },
                (EffectKind::Creation, _) => compute.find_created(&job.call).await,
                (EffectKind::Command | EffectKind::Change, None) => Ok(Effect::CannotTell),
            }
        });
        match told.await {
            Ok(Effect::Running) if effect != EffectKind::Command => Word::Later,
            Ok(effect) => Word::Effect(effect),
            Err(_) => Word::Silence,
        }
    }

    /// Whether the journal that is read here has what became of a call, wherever it ran. What cannot be seen is no.
    async fn journal_covers(&self, compute: &dyn Compute, call: &CallId) -> bool {
        let nodes: BTreeSet<NodeId> = match self.control.ports.reader.chain(call).await {
            Ok(Some(chain)) => chain.ran_on,
            Ok(None) => return false,
            Err(error) => {
                tracing::error!(call_id = %call, %error, "who ran a call cannot be read");
                return false;
            }
        };
        // One that nobody ever ran is in no journal.
        nodes.iter().all(|node| compute.journal_covers(node).unwrap_or(false))
    }

    /// Writes down what became of a call.
    async fn note(&self, call: &CallId, effect: Effect) {
        let (writer, id) = (&self.control.ports.writer, self.control.ports.event_id());
        let happened = match effect {
            Effect::Happened | Effect::Running => Some(true),
            Effect::DidNotHappen => Some(false),
            Effect::CannotTell => None,
        };
        match writer.reconcile(call.clone(), happened, id).await {
            Ok(true) => writer.stats().reconciled.count(match happened {
                Some(true) => "happened",
                Some(false) => "did_not_happen",
                None => "cannot_tell",
            }),
            Ok(false) => {}
            Err(error) => tracing::error!(call_id = %call, %error, "what the provider said could not be written"),
        }
    }

    /// Frees the place of a command that is gone.
    async fn clear(&self, resource: &ResourceId, call: CallId) {
        let ports = &self.control.ports;
        let ids = Ids::new(&ports.clock, &ports.entropy);
        let written = ports.writer.clear_claim(Author::Node, ids, resource.clone(), Grounds::Gone(call));
        if let Err(error) = written.await {
            tracing::error!(%error, "a claim could not be freed");
        }
    }
}

/// An answer that takes too long is none.
async fn within<T>(asked: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
    let silent = |_| Err(ProviderError::Unreachable("no answer in time".into()));
    tokio::time::timeout(TIMEOUT, asked).await.unwrap_or_else(silent)
}

/// Whether the command's process is known not to run: it ended, it never began, or its machine is off.
async fn is_gone(compute: &dyn Compute, machine: &MachineRef, call: &CallId) -> Result<bool, ProviderError> {
    if compute.get(machine).await.is_ok_and(|machine| machine.power == PowerState::Stopped) {
        return Ok(true);
    }
    let effect = command_effect(compute, machine, call).await?;
    Ok(matches!(effect, Effect::Happened | Effect::DidNotHappen))
}

/// What became of a command. Nobody who answers is an `Err`: that is asked again.
async fn command_effect(compute: &dyn Compute, machine: &MachineRef, call: &CallId) -> Result<Effect, ProviderError> {
    let Some(guest) = compute.guest() else { return Ok(Effect::CannotTell) };
    match guest.status(machine, call).await {
        Ok(status) if status.state == JobState::Running => Ok(Effect::Running),
        Ok(_) => Ok(Effect::Happened),
        // A machine that is gone has taken what it knew along.
        Err(ProviderError::NotFound(_)) => match compute.get(machine).await {
            Ok(_) => Ok(Effect::DidNotHappen),
            Err(ProviderError::NotFound(_)) => Ok(Effect::CannotTell),
            Err(error) => Err(error),
        },
        Err(error @ (ProviderError::GuestUnavailable(_) | ProviderError::Unreachable(_) | ProviderError::AnswerLost(_))) => {
            Err(error)
        }
        Err(_) => Ok(Effect::CannotTell),
    }
}
