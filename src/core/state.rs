//! Control state: accounts, people, credentials, VMs, switches, the policy set and the limits in force, as the fold of their events.
//!
//! INVARIANT: [`ControlState::apply`] is the only thing that changes it, for the writer and for `doctor` alike; a stored
//! row that differs from the fold of the log is a fault, and nothing is decided with it (P12): what is loaded has the root
//! that the newest event says ([`ControlState::follows`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::canonical::canonical_exact;
use super::clock::Accepted;
use super::event::{CredentialCreated, Kind};
use super::id::{AccountId, CredentialId, Epoch, InvitationId, Position, SwitchId, UserId, VmId};
use super::lineage::Descent;
use super::member::{Invitation, Member};
use super::principal::Side;
use super::ramp::Ramp;
use super::root::{Root, RootKey};
pub use super::row::{RowName, UnreadableRow};
pub(super) use super::row::{all_named, named};
use super::switch::Switch;
use super::terms::TermsInForce;
use super::time::Micros;

/// A customer, or the provider's own staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Customer or staff.
    pub side: Side,
    /// A key of the account may turn command execution on for a VM.
    pub agents_may_enable_exec: bool,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// What was recorded when it was made.
    #[serde(flatten)]
    pub created: CredentialCreated,
    /// A name that people gave it.
    pub label: String,
    /// Addresses it may be used from, as networks; any if absent.
    pub ips: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Micros,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
    /// What it comes from, and what has come of it.
    #[serde(default, skip_serializing_if = "Descent::is_plain")]
    pub descent: Descent,
}

/// A virtual machine that an account owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// Its id.
    pub id: VmId,
    /// Whose it is.
    pub account: AccountId,
    /// Which provider has it.
    pub provider: String,
    /// The provider's name for it.
    pub machine: String,
    /// Name shown to people, and typed to confirm destruction.
    pub label: String,
    /// Command execution is on.
    pub exec_enabled: bool,
    /// Position of the event that last changed this row.
    pub version: Position,
}

/// The policy set in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySet {
    /// Counts loads, from 1.
    pub version: i64,
    /// SHA-256 of its text, hex.
    pub sha256: String,
}

/// Everything a decision reads that is not looked up by key.
#[derive(Clone, Debug, Default)]
pub struct ControlState {
    /// Moves with every change.
    pub epoch: Epoch,
    /// Position of the newest event that is folded in.
    pub position: Position,
    /// Accounts by id.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Keys by id, revoked ones included.
    pub credentials: BTreeMap<CredentialId, Credential>,
    /// Key ids by the hash of the key.
    pub by_hash: BTreeMap<String, CredentialId>,
    /// The credentials that are one key, by the first of them; of keys that were never replaced, nothing.
    pub(super) rotations: BTreeMap<CredentialId, Arc<BTreeSet<CredentialId>>>,
    /// VMs by id.
    pub vms: BTreeMap<VmId, Vm>,
    /// Switches in force.
    pub switches: BTreeMap<SwitchId, Switch>,
    /// The policy set in force.
    pub policy: Option<PolicySet>,
    /// The limits in force, and the other numbers that decide for callers.
    pub terms: Option<TermsInForce>,
    /// People whose role the log has said, removed ones included.
    pub people: BTreeMap<UserId, Member>,
    /// Invitations that nobody has taken or revoked yet.
    pub invitations: BTreeMap<InvitationId, Invitation>,
    /// The clock as it was last accepted; none if it never had to be.
    pub clock: Option<Accepted>,
    /// Digest of all rows.
    root: Root,
}

/// By rows: the root and the rotations follow from them.
impl PartialEq for ControlState {
    fn eq(&self, other: &Self) -> bool {
        let Self { epoch, position, accounts, credentials, by_hash, vms, switches, .. } = self;
        let Self { policy, terms, people, invitations, clock, .. } = self;
        (*epoch, *position) == (other.epoch, other.position)
            && (accounts, credentials, by_hash, vms) == (&other.accounts, &other.credentials, &other.by_hash, &other.vms)
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
        let staff = self.accounts.values().find(|account| account.side == Side::Staff);
        staff.map_or_else(AccountId::nobody, |account| account.id.clone())
    }

    /// Folds one event in and names the rows that it changed. `note` is the event's free text, by field.
    pub fn apply(&mut self, position: Position, at: Micros, kind: &Kind, note: &Value) -> Vec<RowName> {
        self.position = position;
        let touched = match kind {
            Kind::ClockAccepted { ahead, .. } => {
                self.clock = Some(Accepted { at, ahead: *ahead });
                named("clock", "accepted")
            }
            // What ends by itself is judged by what clocks say, and so is when it began.
            _ => self.change(position, self.on_clocks(at), kind, note),
        };
        if !touched.is_empty() {
            self.epoch = self.epoch.next();
        }
        for row in &touched {
            // A row that cannot be written has no digest, and so does not follow from the log.
            let document = self.row(row).ok().filter(|document| document != GONE);
            let name = format!("{}:{}", row.kind, row.key);
            self.root.note(&name, document.as_deref());
            self.root.settle(Some(&name));
        }
        touched
    }

    /// Whether an event of this kind may change any row. Of those that come often and change none it is known.
    #[must_use]
    pub fn is_concerned(kind: &Kind) -> bool {
        let quiet = matches!(kind, Kind::LogRead { .. } | Kind::RefusalsCounted { .. } | Kind::SignInRefused { .. });
        kind.call().is_none() && !quiet
    }

    /// Digest of all rows, hex: what the event at a position says of the state after it.
    #[must_use]
    pub fn root(&self, at: Position) -> String {
        self.root.hex(at)
    }

    /// Whether the rows are those that the newest event beside the calls speaks of, which is at that position.
    pub fn follows(&mut self, newest: Option<(Position, &str)>) -> bool {
        self.root.settle(None);
        match newest {
            Some((at, root)) => self.root(at) == root,
            None => self.root(Position(0)) == self.root.empty().hex(Position(0)),
        }
    }

    fn change(&mut self, position: Position, at: Micros, kind: &Kind, note: &Value) -> Vec<RowName> {
        match kind {
            Kind::AccountCreated { account, side } => {
                let row = Account { id: account.clone(), side: *side, agents_may_enable_exec: false };
                self.accounts.insert(account.clone(), row);
                named("account", account.as_str())
            }
            Kind::AccountChanged { account, agents_may_enable_exec } => {
                let Some(row) = self.accounts.get_mut(account) else { return Vec::new() };
                row.agents_may_enable_exec = *agents_may_enable_exec;
                named("account", account.as_str())
            }
            Kind::CredentialCreated(created) => {
                self.by_hash.insert(created.hash.to_string(), created.credential.clone());
                let ips = note["ips"].as_array().map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                let (label, created) = (text(note, "label"), created.clone());
                let (descent, mut changed) = self.descend(&created);
                let row = Credential { created: created.clone(), label, ips, created_at: at, revoked_at: None, descent };
                changed.insert(0, row.created.credential.clone());
                self.credentials.insert(row.created.credential.clone(), row);
                self.note_rotation(&created.credential);
                all_named("credential", &changed)
            }
            Kind::StateMended { epoch, .. } => {
                self.epoch = self.epoch.max(*epoch);
                Vec::new()
            }
            Kind::CredentialAdopted { credential, with, .. } => all_named("credential", &self.adopt(credential, with)),
            Kind::CredentialRevoked { credential, .. } => all_named("credential", &self.revoke(credential, at)),
            Kind::PolicyLoaded { version, sha256, .. } => {
                self.policy = Some(PolicySet { version: *version, sha256: sha256.to_string() });
                named("policy", "set")
            }
            Kind::LimitsSet { version, terms, .. } => {
                self.terms = Some(TermsInForce { version: *version, terms: **terms });
                named("limits", "set")
            }
            _ => {
                let vm = self.change_vm(position, kind, note);
                let switch = vm.or_else(|| self.change_switch(position, at, kind, note));
                switch.or_else(|| self.change_people(at, kind)).unwrap_or_default()
            }
        }
    }

    fn change_vm(&mut self, position: Position, kind: &Kind, note: &Value) -> Option<Vec<RowName>> {
        match kind {
            Kind::VmImported { vm, account, provider, machine } => {
                let row = Vm {
                    id: vm.clone(),
                    account: account.clone(),
                    provider: provider.to_string(),
                    machine: machine.to_string(),
                    label: text(note, "label"),
                    exec_enabled: false,
                    version: position,
                };
                self.vms.insert(vm.clone(), row);
                Some(named("vm", vm.as_str()))
            }
            Kind::VmExecSet { vm, enabled } => {
                let row = self.vms.get_mut(vm)?;
                row.exec_enabled = *enabled;
                row.version = position;
                Some(named("vm", vm.as_str()))
            }
            _ => None,
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
                Some(named("switch", switch.as_str()))
            }
            Kind::ReleaseRequested { switch, by, credential } => {
                let row = self.switches.get_mut(switch)?;
                row.release_requested_by = Some(by.clone());
                row.release_requested_with.clone_from(credential);
                Some(named("switch", switch.as_str()))
            }
            Kind::ReleaseRamped { switch, until, .. } => {
                let row = self.switches.get_mut(switch)?;
                row.ramp = Some(Ramp { since: at, until: *until });
                row.release_requested_by = None;
                row.release_requested_with = None;
                Some(named("switch", switch.as_str()))
            }
            Kind::SwitchReleased { switch, .. } | Kind::SwitchExpired { switch } => {
                self.switches.remove(switch)?;
                Some(named("switch", switch.as_str()))
            }
            _ => None,
        }
    }

    /// The bytes to store for a row; [`GONE`] if it is gone, so that a reader of changes sees that too.
    pub fn row(&self, name: &RowName) -> Result<Vec<u8>, serde_json::Error> {
        match name.kind {
            "account" => bytes(by_key(&self.accounts, &name.key)),
            "credential" => bytes(by_key(&self.credentials, &name.key)),
            "vm" => bytes(by_key(&self.vms, &name.key)),
            "switch" => bytes(by_key(&self.switches, &name.key)),
            "person" => bytes(by_key(&self.people, &name.key)),
            "invitation" => bytes(by_key(&self.invitations, &name.key)),
            "clock" => bytes(self.clock.as_ref()),
            "limits" => bytes(self.terms.as_ref()),
            _ => bytes(self.policy.as_ref()),
        }
    }

    /// Takes a stored row over. Rows of other kinds are not control state and are refused.
    pub fn load(&mut self, kind: &str, key: &str, doc: &[u8]) -> Result<(), UnreadableRow> {
        self.absorb(kind, key, doc).map_err(|source| UnreadableRow { kind: kind.to_owned(), key: key.to_owned(), source })?;
        self.root.note(&format!("{kind}:{key}"), Some(doc).filter(|doc| *doc != GONE));
        Ok(())
    }

    fn absorb(&mut self, kind: &str, key: &str, doc: &[u8]) -> Result<(), serde_json::Error> {
        match kind {
            "switch" if doc == GONE => self.switches.retain(|id, _| id.as_str() != key),
            "switch" => insert(&mut self.switches, key, serde_json::from_slice(doc)?, |row: &Switch| row.id.clone())?,
            "invitation" if doc == GONE => self.invitations.retain(|id, _| id.as_str() != key),
            "invitation" => insert(&mut self.invitations, key, serde_json::from_slice(doc)?, |row: &Invitation| row.id.clone())?,
            "person" => insert(&mut self.people, key, serde_json::from_slice(doc)?, |row: &Member| row.id.clone())?,
            "account" => insert(&mut self.accounts, key, serde_json::from_slice(doc)?, |row: &Account| row.id.clone())?,
            "vm" => insert(&mut self.vms, key, serde_json::from_slice(doc)?, |row: &Vm| row.id.clone())?,
            "credential" => {
                let row: Credential = serde_json::from_slice(doc)?;
                let (hash, id) = (row.created.hash.to_string(), row.created.credential.clone());
                insert(&mut self.credentials, key, row, |row| row.created.credential.clone())?;
                self.note_rotation(&id);
                self.by_hash.insert(hash, id);
            }
            "policy" if key == "set" => self.policy = Some(serde_json::from_slice(doc)?),
            "clock" if key == "accepted" => self.clock = Some(serde_json::from_slice(doc)?),
            "limits" if key == "set" => self.terms = Some(serde_json::from_slice(doc)?),
            _ => return Err(serde::de::Error::custom("not a kind of control state")),
        }
        Ok(())
    }
}

/// What is stored for a row that is gone. Not nothing: a row that somebody blanked must not pass for a released switch (P12).
const GONE: &[u8] = b"null";

/// Takes a row over, if it is the one that its key says.
fn insert<K: Ord + Display, V>(map: &mut BTreeMap<K, V>, key: &str, row: V, id: fn(&V) -> K) -> Result<(), serde_json::Error> {
    let id = id(&row);
    if id.to_string() != key {
        return Err(serde::de::Error::custom("the row of another key"));
    }
    map.insert(id, row);
    Ok(())
}

fn by_key<'a, K: Ord + FromStr, V>(map: &'a BTreeMap<K, V>, key: &str) -> Option<&'a V> {
    map.get(&key.parse().ok()?)
}

fn bytes<T: Serialize>(row: Option<&T>) -> Result<Vec<u8>, serde_json::Error> {
    row.map_or(Ok(GONE.to_vec()), canonical_exact)
}

fn text(note: &Value, field: &str) -> String {
    note[field].as_str().unwrap_or_default().to_owned()
}
