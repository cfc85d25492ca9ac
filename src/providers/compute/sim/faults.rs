//! Faults between Forelog and the simulation: put there by tests at run time, or by the configuration for a rehearsal.
//!
//! Invariant: a fault decides only when, whether and how a request is answered; what happened is always in the journal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;

use crate::providers::compute::{MachineRef, PowerAction, ProviderError};

/// What is asked of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A power change.
    Power(PowerAction),
    /// Another host name.
    Rename,
    /// A new machine.
    Create,
    /// The start of a job.
    Start,
    /// The end of a job.
    Cancel,
    /// How a job or a power change stands, and a job's output.
    Watch,
    /// What machines there are.
    Look,
}

impl Action {
    fn needs_guest(self) -> bool {
        matches!(self, Self::Start | Self::Cancel | Self::Watch)
    }
}

/// What goes wrong.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "tests bring faults that no rehearsal has"))]
pub enum Kind {
    /// The request leaves this late; its permit is held meanwhile.
    DelayBefore(Duration),
    /// The request does not leave before the gate is open; its permit is held meanwhile.
    HoldBefore(Gate),
    /// A power change takes this long once it has begun.
    Slow(Duration),
    /// The answer comes this late.
    DelayAfter(Duration),
    /// The answer does not come before the gate is open.
    HoldAfter(Gate),
    /// It is refused with this text and nothing changes.
    Fail(String),
    /// It cannot be reached; nothing is sent.
    Unreachable,
    /// It happens and the answer is lost.
    LoseAnswer,
    /// It does not happen, and the answer is lost all the same.
    LoseRequest,
    /// It arrives twice. What is done twice is in the journal twice.
    Twice,
    /// The guest does not answer. Power and listing still work.
    GuestSilent,
}

/// A fault as the configuration names it. It befalls requests that change something.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsed {
    /// What goes wrong.
    pub fault: Name,
    /// Of how many requests one is befallen.
    pub every: u32,
    /// How late, in milliseconds.
    #[serde(default)]
    pub ms: u64,
}

/// What goes wrong, as the configuration names it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// See [`Kind::DelayBefore`].
    LateRequest,
    /// See [`Kind::DelayAfter`].
    LateAnswer,
    /// It happens and is never answered.
    NoAnswer,
    /// See [`Kind::LoseRequest`].
    LostRequest,
    /// See [`Kind::LoseAnswer`].
    LostAnswer,
    /// See [`Kind::Twice`].
    Twice,
}

impl Rehearsed {
    fn kind(self) -> Kind {
        let late = Duration::from_millis(self.ms);
        match self.fault {
            Name::LateRequest => Kind::DelayBefore(late),
            Name::LateAnswer => Kind::DelayAfter(late),
            Name::NoAnswer => Kind::HoldAfter(Gate::closed()),
            Name::LostRequest => Kind::LoseRequest,
            Name::LostAnswer => Kind::LoseAnswer,
            Name::Twice => Kind::Twice,
        }
    }
}

#[derive(Debug)]
struct Rule {
    machine: Option<MachineRef>,
    action: Option<Action>,
    kind: Kind,
    left: Option<u32>,
    /// Of how many requests that change something one is befallen, and how many there were; of every request if absent.
    every: Option<(u32, u32)>,
}

impl Rule {
    /// Whether it is this request's turn.
    fn turn(&mut self, action: Action) -> bool {
        let Some((every, seen)) = &mut self.every else { return true };
        if !matches!(action, Action::Power(_) | Action::Rename | Action::Create | Action::Start) {
            return false;
        }
        *seen = seen.wrapping_add(1);
        seen.is_multiple_of((*every).max(1))
    }
}

/// The faults in force: a handle that is shared with the simulation.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<Rule>>>);

impl Faults {
    /// The faults of a rehearsal.
    #[must_use]
    pub fn rehearsed(faults: &[Rehearsed]) -> Self {
        let rule = |fault: &Rehearsed| {
            let (machine, action, left) = (None, None, None);
            Rule { machine, action, kind: fault.kind(), left, every: Some((fault.every, 0)) }
        };
        Self(Arc::new(Mutex::new(faults.iter().map(rule).collect())))
    }

    /// From now on `kind` befalls every request of `action` to `machine`; of all where these are absent.
    #[cfg(feature = "testing")]
    pub fn inject(&self, machine: Option<&MachineRef>, action: Option<Action>, kind: Kind) {
        self.push(machine, action, kind, None);
    }

    /// `kind` befalls the next such request only.
    #[cfg(feature = "testing")]
    pub fn inject_once(&self, machine: Option<&MachineRef>, action: Option<Action>, kind: Kind) {
        self.push(machine, action, kind, Some(1));
    }

    /// Everything works again. Requests that already wait at a gate stay there.
    #[cfg(feature = "testing")]
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    #[cfg(feature = "testing")]
    fn push(&self, machine: Option<&MachineRef>, action: Option<Action>, kind: Kind, left: Option<u32>) {
        let rule = Rule { machine: machine.cloned(), action, kind, left, every: None };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// What befalls this request; one-time faults are used up by it.
    pub(super) fn befall(&self, machine: Option<&MachineRef>, action: Action) -> Befallen {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut befallen = Befallen::default();
        for rule in rules.iter_mut() {
            let here = rule.machine.is_none() || rule.machine.as_ref() == machine;
            if here && rule.action.is_none_or(|only| only == action) && rule.left != Some(0) && rule.turn(action) {
                rule.left = rule.left.map(|left| left - 1);
                befallen.add(&rule.kind, action);
            }
        }
        rules.retain(|rule| rule.left != Some(0));
        befallen
    }
}

/// Everything that befalls one request.
#[derive(Debug, Default)]
pub(super) struct Befallen {
    before: Vec<Wait>,
    after: Vec<Wait>,
    /// How long the effect takes.
    pub slow: Duration,
    /// Nothing happens, and this is the answer.
    refusal: Option<Kind>,
    answer_lost: bool,
    /// It arrives once more.
    pub twice: bool,
}

#[derive(Debug)]
enum Wait {
    For(Duration),
    At(Gate),
}

impl Befallen {
    fn add(&mut self, kind: &Kind, action: Action) {
        match kind {
            Kind::DelayBefore(by) => self.before.push(Wait::For(*by)),
            Kind::HoldBefore(gate) => self.before.push(Wait::At(gate.clone())),
            Kind::Slow(by) => self.slow += *by,
            Kind::DelayAfter(by) => self.after.push(Wait::For(*by)),
            Kind::HoldAfter(gate) => self.after.push(Wait::At(gate.clone())),
            Kind::LoseAnswer => self.answer_lost = true,
            Kind::Twice => self.twice = true,
            Kind::GuestSilent if !action.needs_guest() => {}
            Kind::Fail(_) | Kind::Unreachable | Kind::LoseRequest | Kind::GuestSilent => self.refusal = Some(kind.clone()),
        }
    }

    /// Waits until the request may leave, and says whether it fails instead.
    pub async fn before(&self) -> Result<(), ProviderError> {
        wait_all(&self.before).await;
        match &self.refusal {
            None => Ok(()),
            Some(Kind::Fail(text)) => Err(ProviderError::Refused(text.as_str().into())),
            Some(Kind::Unreachable) => Err(ProviderError::Unreachable("an injected fault of the simulation".into())),
            Some(Kind::GuestSilent) => Err(ProviderError::GuestUnavailable("an injected fault of the simulation".into())),
            Some(_) => Err(lost()),
        }
    }

    /// Waits until the answer may come, and loses it if that is its fate.
    pub async fn after<T>(&self, answer: Result<T, ProviderError>) -> Result<T, ProviderError> {
        wait_all(&self.after).await;
        if self.answer_lost { Err(lost()) } else { answer }
    }
}

fn lost() -> ProviderError {
    ProviderError::AnswerLost("an injected fault of the simulation".into())
}

async fn wait_all(waits: &[Wait]) {
    for wait in waits {
        match wait {
            Wait::For(by) => tokio::time::sleep(*by).await,
            Wait::At(gate) => gate.pass().await,
        }
    }
}

/// A gate that requests wait at until a test opens it, so that no test has to guess a time.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<GateState>>);

#[derive(Debug, Default)]
struct GateState {
    open: bool,
    arrived: usize,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(GateState::default())))
    }

    /// Lets everyone through, now and later.
    #[cfg(feature = "testing")]
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Waits until `count` requests have come to the gate.
    #[cfg(feature = "testing")]
    pub async fn arrived(&self, count: usize) {
        // The sender lives in `self`, so the channel cannot be closed here.
        let _ = self.0.subscribe().wait_for(|state| state.arrived >= count).await;
    }

    async fn pass(&self) {
        self.0.send_modify(|state| state.arrived += 1);
        let _ = self.0.subscribe().wait_for(|state| state.open).await;
    }
}
