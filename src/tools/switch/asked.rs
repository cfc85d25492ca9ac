//! Switches that are asked for: which of them are there already, and whether there may be more.
//!
//! INVARIANT: a key's own stop, an account's and the staff's widest ones are never refused for what else is engaged; each
//! is there once, so that they have a bound all the same.

use crate::core::call::Outcome;
use crate::core::engagement::Proposed;
use crate::core::event::Kind;
use crate::core::id::{AccountId, CredentialId, Epoch, SwitchId, UserId};
use crate::core::principal::Side;
use crate::core::quota::Counted;
use crate::core::refusal::Refusal;
use crate::core::state::ControlState;
use crate::core::switch::{self, Running, Target};
use crate::log::draft::NewEvent;
use crate::log::store::Want;
use crate::tools::Execution;
use crate::tools::record::{Record, write};

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

/// A switch that is asked for, with the event that engages it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) switch: SwitchId,
    pub(super) event: NewEvent,
    pub(super) once: bool,
    pub(super) proposed: Proposed,
    running: Running,
}

impl Asked {
    pub(super) async fn of(execution: &Execution, engagement: Engagement) -> Result<Self, Outcome> {
        let Engagement { proposed, running, by, once } = engagement;
        let switch = SwitchId::new(execution.ports.clock.now(), &*execution.ports.entropy);
        let credential = Some(execution.principal.credential.clone());
        let (id, target, expires_at) = (switch.clone(), proposed.target.clone(), proposed.expires_at);
        let kind = Kind::SwitchEngaged { switch: id, target, by, credential, running, expires_at };
        let event = Record::noted(execution, &execution.principal.account, kind, proposed.note()).await?.event();
        Ok(Self { switch, event, once, proposed, running })
    }

    /// The switch that stops the same already, for ever and without letting anything through.
    pub(super) fn standing(&self, state: &ControlState) -> Option<SwitchId> {
        switch::standing(state, &self.proposed.target, self.running).map(|switch| switch.id.clone())
    }
}

/// What was engaged before, if that is all that is asked for: a look that ends no calls, for there are none to end.
pub(super) async fn standing(execution: &Execution, asked: &[Asked]) -> Result<Option<Engaged>, Outcome> {
    if !asked.iter().all(|asked| asked.once) {
        return Ok(None);
    }
    let asked = asked.to_vec();
    write(execution, Want::default(), move |draft| {
        let switches: Option<Vec<SwitchId>> = asked.iter().map(|asked| asked.standing(draft.state())).collect();
        let epoch = draft.state().epoch;
        Ok(Ok(switches.map(|switches| Engaged { switches, epoch, cancelled: 0 })))
    })
    .await
}

/// How many the caller's side may have.
pub(super) struct Quota {
    side: Side,
    account: AccountId,
    credential: CredentialId,
}

impl Quota {
    pub(super) fn of(execution: &Execution) -> Self {
        let who = &execution.principal;
        let (account, credential) = (who.account.clone(), who.credential.clone());
        Self { side: who.side, account, credential }
    }

    /// Refuses these if they are too many.
    pub(super) fn check(&self, state: &ControlState, asked: &[Asked]) -> Result<(), Refusal> {
        let quotas = state.quotas();
        let (counted, quota) = match self.side {
            Side::Staff => (Counted::StaffSwitches, quotas.staff_switches),
            Side::Customer => (Counted::Switches, quotas.switches),
        };
        let adds = |asked: &&Asked| {
            let standing = asked.standing(state).is_some();
            if standing { !asked.once } else { !self.always(state, &asked.proposed.target) }
        };
        let more = asked.iter().filter(adds).count();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        counted.check_more(quota, state.switches_used(&self.account, &self.credential), more)
    }

    /// What may be stopped however much is stopped already.
    fn always(&self, state: &ControlState, target: &Target) -> bool {
        match target {
            Target::All | Target::Class(_) => true,
            Target::Account(account) => self.side == Side::Staff || *account == self.account,
            Target::Credential(credential) => state.is_same_key(credential, &self.credential),
            Target::Tool(_) | Target::Provider(_) | Target::Resource { .. } => false,
        }
    }
}
