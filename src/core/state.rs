//! Control state: accounts, people, credentials, VMs, switches, the policy set and the limits in force, as the fold of their events.
//!
//! INVARIANT: [`ControlState::apply`] is the only thing that changes it, for the writer and for `doctor` alike; a stored
//! row that differs from the fold of the log is a fault, and nothing is decided with it (P12): what is loaded has the root
//! that the newest event says ([`ControlState::follows`]).

use serde_json::Value;

use super::clock::Accepted;
use super::event::Kind;
use super::id::{AccountId, Epoch, Position};
use super::member::{Invitation, Member};
use super::ramp::Ramp;
use super::root::{Root, RootKey};
pub use super::row::{Account, Credential, PolicySet, RowKind, RowName, UnreadableRow};
pub(super) use super::row::{all_named, named};
use super::stored::Loose;
use super::switch::Switch;
use super::table::Table;
use super::terms::TermsInForce;
use super::time::Micros;
pub use super::vm::Vm;

/// Everything a decision reads that is not looked up by key. A copy shares all of it, however much that is.
#[derive(Clone, Debug, Default)]
pub struct ControlState {
    /// Moves with every change.
    pub epoch: Epoch,
    /// Position of the newest event that is folded in.
    pub position: Position,
    /// Accounts by id.
    pub accounts: Table<Account>,
    /// Keys by id, revoked ones included.
    pub credentials: Table<Credential>,
    /// VMs by id.
    pub vms: Table<Vm>,
    /// Switches in force.
    pub switches: Table<Switch>,
    /// The policy set in force.
    pub policy: Option<PolicySet>,
    /// The limits in force, and the other numbers that decide for callers.
    pub terms: Option<TermsInForce>,
    /// People whose role the log has said, removed ones included.
    pub people: Table<Member>,
    /// Invitations that nobody has taken or revoked yet.
    pub invitations: Table<Invitation>,
    /// The clock as it was last accepted; none if it never had to be.
    pub clock: Option<Accepted>,
    /// What the root counts the rows as that are in no table.
    pub(super) loose: Loose,
    /// Digest of all rows.
    pub(super) root: Root,
}

/// By rows: the root and what finds them follow from them.
impl PartialEq for ControlState {
    fn eq(&self, other: &Self) -> bool {
        let Self { epoch, position, accounts, credentials, vms, switches, .. } = self;
        let Self { policy, terms, people, invitations, clock, .. } = self;
        (*epoch, *position) == (other.epoch, other.position)
            && (accounts, credentials, vms) == (&other.accounts, &other.credentials, &other.vms)
            && (switches, policy, terms) == (&other.switches, &other.policy, &other.terms)
            && (people, invitations, clock) == (&other.people, &other.invitations, &other.clock)
    }
}

impl Eq for ControlState {}

impl ControlState {
    /// Nothing yet, whose root is made with `key`.
    #[must_use]
    pub fn under(key: RootKey) -> Self {
        Self { root: Root::under(key), ..Self::default() }
    }

    /// Nothing yet, of the same log.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self { root: self.root.empty(), ..Self::default() }
    }

    /// The account that owns what belongs to no customer: the staff's; nobody's before there is any staff.
    #[must_use]
    pub fn house(&self) -> AccountId {
        self.staff().cloned().unwrap_or_else(AccountId::nobody)
    }

    /// Folds one event in and names the rows that it changed. `note` is the event's free text, by field.
    pub fn apply(&mut self, position: Position, at: Micros, kind: &Kind, note: &Value) -> Vec<RowName> {
        let before = self.clone();
        self.position = position;
        let touched = match kind {
            Kind::ClockAccepted { ahead, .. } => {
                self.clock = Some(Accepted { at, ahead: *ahead });
                named(RowKind::Clock, "accepted")
            }
            // What ends by itself is judged by what clocks say, and so is when it began.
            _ => self.change(position, self.on_clocks(at), kind, note),
        };
        if !touched.is_empty() {
            self.epoch = self.epoch.next();
        }
        self.count(&before, &touched);
        touched
    }

    /// Whether an event of this kind may change any row. Of those that come often and change none it is known.
    #[must_use]
    pub fn is_concerned(kind: &Kind) -> bool {
        let quiet = matches!(kind, Kind::LogRead { .. } | Kind::RefusalsCounted { .. } | Kind::SignInRefused { .. });
        kind.call().is_none() && !quiet
    }

    fn change(&mut self, position: Position, at: Micros, kind: &Kind, note: &Value) -> Vec<RowName> {
        match kind {
            Kind::AccountCreated { account, side } => {
                let row = Account { id: account.clone(), side: *side, agents_may_enable_exec: false };
                self.accounts.insert(account.clone(), row);
                named(RowKind::Account, account.as_str())
            }
            Kind::AccountChanged { account, agents_may_enable_exec } => {
                let Some(mut row) = self.accounts.get_mut(account) else { return Vec::new() };
                row.agents_may_enable_exec = *agents_may_enable_exec;
                named(RowKind::Account, account.as_str())
            }
            Kind::CredentialCreated(created) => {
                let ips = note["ips"].as_array().map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                let (label, created) = (text(note, "label"), created.clone());
                let (descent, mut changed) = self.descend(&created);
                let row = Credential { created: created.clone(), label, ips, created_at: at, revoked_at: None, descent };
                changed.insert(0, row.created.credential.clone());
                self.credentials.insert(row.created.credential.clone(), row);
                all_named(RowKind::Credential, &changed)
            }
            Kind::StateMended { epoch, .. } => {
                self.epoch = self.epoch.max(*epoch);
                Vec::new()
            }
            Kind::CredentialAdopted { credential, with, .. } => all_named(RowKind::Credential, &self.adopt(credential, with)),
            Kind::CredentialRevoked { credential, .. } => all_named(RowKind::Credential, &self.revoke(credential, at)),
            Kind::PolicyLoaded { version, sha256, .. } => {
                self.policy = Some(PolicySet { version: *version, sha256: sha256.to_string() });
                named(RowKind::Policy, "set")
            }
            Kind::LimitsSet { version, terms, .. } => {
                let first = || TermsInForce::first(*version, **terms);
                let after = |was: &TermsInForce| was.followed_by(*version, **terms, at, self.in_log(at));
                self.terms = Some(self.terms.as_ref().map_or_else(first, after));
                named(RowKind::Limits, "set")
            }
            _ => {
                let vm = self.change_vm(position, kind, note);
                let switch = vm.or_else(|| self.change_switch(position, at, kind, note));
                switch.or_else(|| self.change_people(at, kind)).unwrap_or_default()
            }
        }
    }

    fn change_switch(&mut self, position: Position, at: Micros, kind: &Kind, note: &Value) -> Option<Vec<RowName>> {
        match kind {
            Kind::SwitchEngaged { switch, target, by, credential, running, expires_at } => {
                let row = Switch {
                    id: switch.clone(),
                    target: target.clone(),
                    reason: text(note, "reason"),
                    message: note["message"].as_str().map(str::to_owned),
                    by: by.clone(),
                    credential: credential.clone(),
                    incident: note["incident"].as_str().map(str::to_owned),
                    expires_at: *expires_at,
                    running: *running,
                    engaged_at: at,
                    position,
                    release_requested_by: None,
                    release_requested_with: None,
                    ramp: None,
                };
                self.switches.insert(switch.clone(), row);
                Some(named(RowKind::Switch, switch.as_str()))
            }
            Kind::ReleaseRequested { switch, by, credential } => {
                let mut row = self.switches.get_mut(switch)?;
                row.release_requested_by = Some(by.clone());
                row.release_requested_with.clone_from(credential);
                Some(named(RowKind::Switch, switch.as_str()))
            }
            Kind::ReleaseRamped { switch, until, .. } => {
                let mut row = self.switches.get_mut(switch)?;
                row.ramp = Some(Ramp { since: at, until: *until });
                row.release_requested_by = None;
                row.release_requested_with = None;
                Some(named(RowKind::Switch, switch.as_str()))
            }
            Kind::SwitchReleased { switch, .. } | Kind::SwitchExpired { switch } => {
                self.switches.remove(switch)?;
                Some(named(RowKind::Switch, switch.as_str()))
            }
            _ => None,
        }
    }
}

fn text(note: &Value, field: &str) -> String {
    note[field].as_str().unwrap_or_default().to_owned()
}
