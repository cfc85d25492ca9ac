//! When a stop is there already, and whether there is room for one more.
//!
//! INVARIANT: a switch will do in the place of another only for whoever engaged it. Who engaged one has reason to let it go, and
//! nobody's stop ends with somebody else's (P15). A key's own stop, an account's and the staff's widest ones are never refused for
//! what else is engaged; each is there once for each key, so that they have a bound all the same.

use super::engagement::{Names, check_target};
use super::id::CredentialId;
use super::principal::{Principal, Side};
use super::quota::QuotaKind;
use super::refusal::Refusal;
use super::state::ControlState;
use super::switch::{Running, Switch, Target};

/// What a call asks to be stopped, if it asks for nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What; nothing, if the call is going to fail.
    pub targets: Vec<Target>,
    /// What becomes of calls that run.
    pub running: Running,
}

impl Stop {
    /// Whether it would stop more than the caller has stopped, as far as control state says.
    #[must_use]
    pub fn changes(&self, state: &ControlState, who: &Principal) -> bool {
        let is_there = |target: &Target| standing(state, Some(&who.credential), target, self.running).is_some();
        let new: Vec<&Target> = self.targets.iter().filter(|target| !is_there(target)).collect();
        let can_be = |target: &Target| check_target(target, state, &Names::default()).is_ok();
        let counted = new.iter().filter(|target| !is_always(state, who, target)).count();
        !new.is_empty() && self.targets.iter().all(can_be) && check_room(state, who, counted).is_ok()
    }
}

/// The switch that the same key, or person, has engaged, and that stops as much: for ever, and without letting anything through.
/// On the data nobody has a key.
#[must_use]
pub fn standing<'a>(state: &'a ControlState, by: Option<&CredentialId>, target: &Target, running: Running) -> Option<&'a Switch> {
    let first = |credential: Option<&'a CredentialId>| credential.map(|id| state.counted_as(id));
    let own = by.map(|id| state.counted_as(id).clone());
    as_much(state, target, running).find(|switch| first(switch.credential.as_ref()) == own.as_ref())
}

/// The switches that stop as much, whoever engaged them.
pub fn as_much<'a>(state: &'a ControlState, target: &Target, running: Running) -> impl Iterator<Item = &'a Switch> {
    state.switches.values().filter(move |switch| {
        let cancels = running == Running::LetFinish || switch.running == Running::Cancel;
        is_same(state, &switch.target, target) && switch.ends_at().is_none() && cancels
    })
}

/// Whether two targets are the same to stop. A key is stopped with all that replace it.
fn is_same(state: &ControlState, one: &Target, other: &Target) -> bool {
    match (one, other) {
        (Target::Credential(one), Target::Credential(other)) => state.is_same_key(one, other),
        _ => one == other,
    }
}

/// What may be stopped however much is stopped already.
#[must_use]
pub fn is_always(state: &ControlState, who: &Principal, target: &Target) -> bool {
    match target {
        Target::All | Target::Class(_) => true,
        Target::Account(account) => who.side == Side::Staff || *account == who.account,
        Target::Credential(credential) => state.is_same_key(credential, &who.credential),
        Target::Tool(_) | Target::Provider(_) | Target::Resource { .. } => false,
    }
}

/// Refuses more switches than the caller's side may have.
pub fn check_room(state: &ControlState, who: &Principal, more: usize) -> Result<(), Refusal> {
    let quotas = state.quotas();
    let (counted, quota) = match who.side {
        Side::Staff => (QuotaKind::StaffSwitches, quotas.staff_switches),
        Side::Customer => (QuotaKind::Switches, quotas.switches),
    };
    counted.check_more(quota, state.switches_used(&who.account, &who.credential), u32::try_from(more).unwrap_or(u32::MAX))
}
