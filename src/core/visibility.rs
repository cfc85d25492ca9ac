//! What a principal may see. Every read uses this one answer: lists, single calls, counts, live streams, exports, events, keys,
//! VMs and the console's pages.
//!
//! INVARIANT: what a [`Visibility`] hides is hidden on every interface, and looks exactly like what does not exist (P9). An unknown
//! key sees nothing, and so does the default.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::event::EventKind;
use super::id::{AccountId, CredentialId, UserId, VmId};
use super::principal::{Principal, Side};
use super::resource::{Resource, ResourceId};
use super::scope::Scope;
use super::search::{Field, Known};
use super::state::{ControlState, Credential, Vm};
use super::switch::{Switch, Target};

/// What customers see in place of a staff user's id.
pub const STAFF: &str = "staff";

/// What somebody may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything of every account: the staff, whose reading is written down first, and Forelog itself.
    Everything,
    /// Everything of one account.
    Account(AccountId),
    /// What one key did and what it may touch: a key that is limited to some VMs, or may not read the log. A rotated key is
    /// the same key, also to what it did before.
    Key {
        /// Its account.
        account: AccountId,
        /// The key, by each of its credentials.
        key: Arc<BTreeSet<CredentialId>>,
        /// The only VMs it may touch; all of the account's if absent.
        vms: Option<Vec<VmId>>,
    },
}

impl Visibility {
    /// What `who` may see of the log once that they read it is written down: staff everything.
    #[must_use]
    pub fn of(who: &Principal, state: &ControlState) -> Self {
        if who.side == Side::Staff { Self::Everything } else { Self::own(who, state) }
    }

    /// What `who` may see without anything being written down: staff no more of the log than their own part of it.
    #[must_use]
    pub fn own(who: &Principal, state: &ControlState) -> Self {
        Self::of_key(&who.account, &who.credential, state)
    }

    /// The same by the caller's account and key.
    #[must_use]
    pub fn of_key(account: &AccountId, credential: &CredentialId, state: &ControlState) -> Self {
        // Allow-lists of what the key was made with count too (P14).
        let Ok(lineage) = state.lineage(credential) else { return Self::Nothing };
        let (key, vms) = (&lineage.own().created, lineage.vms());
        if key.account != *account {
            return Self::Nothing;
        }
        if vms.is_none() && key.scopes.contains(&Scope::AuditRead) {
            return Self::Account(account.clone());
        }
        Self::Key { account: account.clone(), key: state.same_key(credential), vms }
    }

    /// The held calls that `who` may be asked about. Who answers has to see what for, also without the right to read the log;
    /// a key that is limited to some VMs sees its own here too.
    #[must_use]
    pub fn of_approver(who: &Principal, state: &ControlState) -> Self {
        if who.side == Side::Staff {
            return Self::Everything;
        }
        match Self::own(who, state) {
            Self::Key { account, vms: None, .. } => Self::Account(account),
            own => own,
        }
    }

    /// The calls of an account, or of one credential of it. Without an account, everything.
    #[must_use]
    pub fn bounded(account: Option<AccountId>, credential: Option<CredentialId>) -> Self {
        match (account, credential) {
            (None, None) => Self::Everything,
            (Some(account), None) => Self::Account(account),
            (Some(account), Some(credential)) => {
                Self::Key { account, key: Arc::new(BTreeSet::from([credential])), vms: Some(Vec::new()) }
            }
            (None, Some(_)) => Self::Nothing,
        }
    }

    /// The same, with all the credentials that are the one key by now.
    #[must_use]
    pub fn refreshed(self, state: &ControlState) -> Self {
        match self {
            Self::Key { account, key, vms } => {
                let key = key.first().map_or_else(Arc::default, |one| state.same_key(one));
                Self::Key { account, key, vms }
            }
            wider => wider,
        }
    }

    /// The account that it ends at; none if it sees all of them, or nothing.
    #[must_use]
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Nothing | Self::Everything => None,
            Self::Account(account) | Self::Key { account, .. } => Some(account),
        }
    }

    /// The only credentials whose calls it sees: those of one key, the oldest first.
    #[must_use]
    pub fn credentials(&self) -> Option<&BTreeSet<CredentialId>> {
        if let Self::Key { key, .. } = self { Some(key) } else { None }
    }

    /// Whether it sees everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::Everything
    }

    /// Whether it sees the calls of this key of this account.
    #[must_use]
    pub fn call(&self, account: &AccountId, credential: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Account(own) => own == account,
            Self::Key { account: own, key, .. } => own == account && credential.parse().is_ok_and(|id| key.contains(&id)),
        }
    }

    /// Whether it sees this VM.
    #[must_use]
    pub fn vm(&self, vm: &Vm) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Account(own) => *own == vm.account,
            Self::Key { account, vms, .. } => *account == vm.account && vms.as_ref().is_none_or(|vms| vms.contains(&vm.id)),
        }
    }

    /// Whether it sees this resource. Who is limited to some VMs sees nothing else.
    #[must_use]
    pub fn resource(&self, resource: &Resource) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Account(own) => *own == resource.account,
            Self::Key { account, vms, .. } => {
                let listed = |vms: &Vec<VmId>| vms.iter().any(|vm| vm.as_str() == resource.id.as_str());
                *account == resource.account && vms.as_ref().is_none_or(listed)
            }
        }
    }

    /// The resources of every noun that it sees.
    pub fn resources<'a>(&'a self, state: &'a ControlState) -> Box<dyn Iterator<Item = Resource> + 'a> {
        match self {
            Self::Nothing => Box::new(std::iter::empty()),
            Self::Everything => Box::new(state.resources(None)),
            Self::Account(account) | Self::Key { account, .. } => {
                Box::new(state.resources(Some(account)).filter(|row| self.resource(row)))
            }
        }
    }

    /// Whether any of what it sees is at this provider.
    #[must_use]
    pub fn reaches(&self, provider: &str, state: &ControlState) -> bool {
        self.resources(state).any(|row| row.provider.as_deref() == Some(provider))
    }

    /// The VMs that it sees, by id.
    pub fn vms<'a>(&'a self, state: &'a ControlState) -> Box<dyn Iterator<Item = &'a Vm> + Send + 'a> {
        match self {
            Self::Nothing => Box::new(std::iter::empty()),
            Self::Everything => Box::new(state.vms.values()),
            Self::Account(account) | Self::Key { account, .. } => Box::new(state.vms_of(account).filter(|vm| self.vm(vm))),
        }
    }

    /// The keys that it sees.
    pub fn keys<'a>(&'a self, state: &'a ControlState) -> Box<dyn DoubleEndedIterator<Item = &'a Credential> + Send + 'a> {
        match self {
            Self::Nothing => Box::new(std::iter::empty()),
            Self::Everything => Box::new(state.credentials.values()),
            Self::Account(account) => Box::new(state.keys_of(account)),
            Self::Key { key, .. } => Box::new(key.iter().filter_map(|id| state.credentials.get(id)).filter(|row| self.key(row))),
        }
    }

    /// Reads what such a reader has typed, held against the tools that there are and the labels that it sees.
    pub fn read_typed<T>(&self, tools: &[&'static str], state: &ControlState, read: impl FnOnce(Known<'_>) -> T) -> T {
        read(Known { tools, ids: &|field, label| self.labelled(field, label, state) })
    }

    /// The ids of what it sees that people call so: VMs and keys by their label.
    #[must_use]
    pub fn labelled(&self, field: Field, label: &str, state: &ControlState) -> Vec<String> {
        match field {
            Field::Credential => {
                let keys = self.keys(state).filter(|row| row.label == label && !row.is_person());
                keys.map(|row| row.created.credential.to_string()).collect()
            }
            Field::Resource(noun) => {
                let found = state.find(noun, self.account(), label).into_iter().filter(|row| self.resource(row));
                found.map(|row| row.id.to_string()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn resource_of(&self, id: &ResourceId, state: &ControlState) -> bool {
        state.resource(id).is_some_and(|row| self.resource(&row))
    }

    /// Whether it sees this key.
    #[must_use]
    pub fn key(&self, key: &Credential) -> bool {
        self.call(&key.created.account, key.created.credential.as_str())
    }

    /// Whether it sees what a switch stops, so that it may know of the switch.
    #[must_use]
    pub fn switch(&self, switch: &Switch, state: &ControlState) -> bool {
        self.target(&switch.target, state)
    }

    /// Whether it sees any of what a target names.
    #[must_use]
    pub fn target(&self, target: &Target, state: &ControlState) -> bool {
        if matches!(self, Self::Nothing | Self::Everything) {
            return self.is_everything();
        }
        match target {
            Target::All | Target::Class(_) | Target::Tool(_) => true,
            Target::Provider(name) => self.reaches(name, state),
            Target::Account(id) => self.account() == Some(id),
            Target::Credential(id) => state.credentials.get(id).is_some_and(|row| self.key(row)),
            Target::Resource { id, .. } => self.resource_of(id, state),
        }
    }

    /// Whether it sees what an event outside of calls is about, as control state says whose that is. Of what is nobody's in
    /// particular only who sees everything does.
    #[must_use]
    pub fn event(&self, kind: &EventKind, state: &ControlState) -> bool {
        let key = |id: &CredentialId| state.credentials.get(id).is_some_and(|row| self.key(row));
        self.is_everything()
            || match kind {
                EventKind::SwitchEngaged { target, .. } => self.target(target, state),
                EventKind::CredentialCreated(made) => key(&made.credential),
                EventKind::CredentialRevoked { credential, .. }
                | EventKind::CredentialAdopted { credential, .. }
                | EventKind::RefusalsCounted { credential, .. } => key(credential),
                EventKind::VmImported { vm, .. } | EventKind::VmExecSet { vm, .. } => self.resource_of(&vm.into(), state),
                EventKind::ClaimCleared { resource, .. } => self.resource_of(resource, state),
                EventKind::AccountCreated { account, .. } | EventKind::AccountChanged { account, .. } => {
                    self.account() == Some(account)
                }
                _ => false,
            }
    }

    /// The names of what it sees one by one, as events say whom they concern (see [`concerned`]).
    #[must_use]
    pub fn concerns(&self, state: &ControlState) -> Vec<String> {
        let Some(account) = self.account() else { return Vec::new() };
        let seen: Vec<Resource> = self.resources(state).collect();
        let mut names: Vec<String> = seen.iter().filter_map(|row| row.provider.as_deref()).map(provider).collect();
        names.sort_unstable();
        names.dedup();
        if let Self::Key { key, .. } = self {
            names.extend(seen.iter().map(|row| row.id.to_string()));
            names.push(account.to_string());
            names.extend(key.iter().map(ToString::to_string));
        }
        names
    }

    /// Whether it may know which person this is: customers know their own people, of the staff only that it was the staff.
    #[must_use]
    pub fn person(&self, user: &str, state: &ControlState) -> bool {
        let Some(account) = self.account() else { return self.is_everything() };
        let member: Option<UserId> = user.parse().ok();
        if let Some(member) = member.and_then(|id| state.users.get(&id)) {
            return member.account == *account;
        }
        let Ok(user) = user.parse() else { return false };
        let mut keys = state.keys_of_user(&user).peekable();
        keys.peek().is_some() && keys.all(|row| row.created.account == *account)
    }

    /// A person's id, or that it was the staff.
    #[must_use]
    pub fn user_name(&self, user: String, state: &ControlState) -> String {
        if self.person(&user, state) { user } else { STAFF.to_owned() }
    }
}

/// Whom an event is about, if that is a key, a VM, a provider, or an account of which all is stopped.
#[must_use]
pub fn concerned(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::SwitchEngaged { target, .. } => match target {
            Target::Account(account) => Some(account.to_string()),
            Target::Credential(credential) => Some(credential.to_string()),
            Target::Resource { id, .. } => Some(id.to_string()),
            Target::Provider(name) => Some(provider(name)),
            Target::All | Target::Class(_) | Target::Tool(_) => None,
        },
        EventKind::CredentialCreated(made) => Some(made.credential.to_string()),
        EventKind::CredentialRevoked { credential, .. }
        | EventKind::CredentialAdopted { credential, .. }
        | EventKind::RefusalsCounted { credential, .. } => Some(credential.to_string()),
        EventKind::VmImported { vm, .. } | EventKind::VmExecSet { vm, .. } => Some(vm.to_string()),
        EventKind::ClaimCleared { resource, .. } => Some(resource.to_string()),
        EventKind::IntentRecorded(_)
        | EventKind::Refused(_)
        | EventKind::Admitted(_)
        | EventKind::Held { .. }
        | EventKind::Started { .. }
        | EventKind::Succeeded(_)
        | EventKind::Failed(_)
        | EventKind::Cancelled(_)
        | EventKind::TimedOut(_)
        | EventKind::Unknown(_)
        | EventKind::Reconciled { .. }
        | EventKind::LateResult { .. }
        | EventKind::ReleaseRequested { .. }
        | EventKind::SwitchReleased { .. }
        | EventKind::SwitchExpired { .. }
        | EventKind::AccountCreated { .. }
        | EventKind::AccountChanged { .. }
        | EventKind::UserCreated { .. }
        | EventKind::PolicyLoaded { .. }
        | EventKind::PolicyRejected { .. }
        | EventKind::LimitsSet { .. }
        | EventKind::NodeStarted { .. }
        | EventKind::NodeStopped { .. }
        | EventKind::LogRead { .. }
        | EventKind::SignedIn { .. }
        | EventKind::SignInRefused { .. }
        | EventKind::ClockAccepted { .. }
        | EventKind::SignedOut { .. }
        | EventKind::PasswordSet { .. }
        | EventKind::ApprovalDecided { .. }
        | EventKind::ReleaseRamped { .. }
        | EventKind::RoleChanged { .. }
        | EventKind::IdentityLinked { .. }
        | EventKind::IdentityUnlinked { .. }
        | EventKind::VouchedFor { .. }
        | EventKind::RoleWithdrawn { .. }
        | EventKind::CancelRequested { .. }
        | EventKind::DrillCompleted(_)
        | EventKind::AlarmAcknowledged { .. }
        | EventKind::PersonInvited { .. }
        | EventKind::InvitationRevoked { .. }
        | EventKind::UserRemoved { .. }
        | EventKind::StateMended { .. } => None,
    }
}

fn provider(name: &str) -> String {
    format!("provider:{name}")
}
