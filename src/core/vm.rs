//! The noun VM: its row of control state, what finds it, the events that change it, and what the pipeline may know of it.

use super::code::Code;
use super::engagement::around;
use super::event::Kind;
use super::finder::{Called, called, with_name};
use super::id::{AccountId, Position, VmId};
use super::refusal::Refusal;
use super::resource::{Attribute, Noun, Resource, ResourceId};
use super::row::{RowKind, RowName, named};
use super::state::ControlState;
use super::table::{Many, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Virtual machines.
pub static VM: Noun = Noun {
    name: "vm",
    title: "VM",
    argument: "vm_id",
    prefix: "vm_",
    entity: "Vm",
    schema: "  /// A virtual machine.
  entity Vm in [Account] {
    provider: String,
    exec_enabled: Bool,
    label: String,
  };
",
    field: "vm",
    runs_commands: true,
    absent: vm_not_found,
    get: |state, id| state.vm(id).map(Vm::resource),
    labelled: |state, account, label| state.vms_labelled(account, label).map(Vm::resource).collect(),
    listed: |state, account| match account {
        Some(account) => Box::new(state.vms_of(account).map(Vm::resource)),
        None => Box::new(state.vms.values().map(Vm::resource)),
    },
    around: |state, id| id.as_str().parse().map(|id| around(&state.vms, &id)).unwrap_or_default(),
};

/// What a caller is told of a VM that is absent, not owned, not on the allow-list, or not even an id.
#[must_use]
pub fn vm_not_found() -> Refusal {
    Refusal::new(Code::VmNotFound, "There is no such VM.").hint("List the VMs with vm_list.")
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

impl Vm {
    /// The VM as everything knows it that knows no VMs.
    #[must_use]
    pub fn resource(&self) -> Resource {
        Resource {
            id: ResourceId::from(&self.id),
            account: self.account.clone(),
            label: self.label.clone(),
            provider: Some(self.provider.clone()),
            machine: Some(self.machine.clone()),
            exec_enabled: self.exec_enabled,
            attributes: vec![
                ("provider", Attribute::Text(self.provider.clone())),
                ("exec_enabled", Attribute::Flag(self.exec_enabled)),
                ("label", Attribute::Text(self.label.clone())),
            ],
            version: self.version,
        }
    }
}

impl From<&VmId> for ResourceId {
    fn from(id: &VmId) -> Self {
        Self::of(&VM, id.as_str())
    }
}

impl From<VmId> for ResourceId {
    fn from(id: VmId) -> Self {
        Self::from(&id)
    }
}

/// VMs by whose they are, what they are called, and where they are.
#[derive(Clone, Debug, Default)]
pub struct VmFinder {
    accounts: Many<AccountId, VmId>,
    labels: Many<AccountId, Called<VmId>>,
    machines: Many<Box<str>, Called<VmId>>,
}

impl Row for Vm {
    type Id = VmId;
    type Finder = VmFinder;

    fn id(&self) -> &VmId {
        &self.id
    }

    fn enter(&self, finder: &mut VmFinder) {
        finder.accounts.add(self.account.clone(), self.id.clone());
        finder.labels.add(self.account.clone(), called(&self.label, &self.id));
        finder.machines.add(self.provider.as_str().into(), called(&self.machine, &self.id));
    }

    fn leave(&self, finder: &mut VmFinder) {
        finder.accounts.drop(&self.account, &self.id);
        finder.labels.drop(&self.account, &called(&self.label, &self.id));
        finder.machines.drop(&self.provider.as_str().into(), &called(&self.machine, &self.id));
    }

    fn is_found_as(&self, was: &Self) -> bool {
        (&self.account, &self.label) == (&was.account, &was.label)
            && (&self.provider, &self.machine) == (&was.provider, &was.machine)
    }
}

impl ControlState {
    /// The VM behind a resource's id, if it is one.
    #[must_use]
    pub fn vm(&self, id: &ResourceId) -> Option<&Vm> {
        self.vms.get(&id.as_str().parse().ok()?)
    }

    /// The VMs of an account.
    pub fn vms_of(&self, account: &AccountId) -> impl DoubleEndedIterator<Item = &Vm> + use<'_> {
        self.vms.finder().accounts.of(account).filter_map(|id| self.vms.get(id))
    }

    /// The VMs of an account that have this label: one, unless they were imported on the data itself.
    pub fn vms_labelled(&self, account: &AccountId, label: &str) -> impl Iterator<Item = &Vm> + use<'_> {
        with_name(&self.vms.finder().labels, account, label).into_iter().filter_map(|id| self.vms.get(id))
    }

    /// The VM that is this machine of a provider.
    #[must_use]
    pub fn vm_on(&self, provider: &str, machine: &str) -> Option<&Vm> {
        let found = with_name(&self.vms.finder().machines, provider, machine);
        found.into_iter().find_map(|id| self.vms.get(id))
    }

    /// The VMs at a provider.
    pub fn vms_at(&self, provider: &str) -> impl Iterator<Item = &Vm> + use<'_> {
        let at = self.vms.finder().machines.of(provider);
        at.filter_map(|(_, id)| self.vms.get(id.as_ref()?))
    }

    /// The providers that VMs are at.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.vms.finder().machines.ones().map(AsRef::as_ref)
    }

    /// The accounts that have VMs.
    pub fn owners(&self) -> impl ExactSizeIterator<Item = &AccountId> {
        self.vms.finder().accounts.ones()
    }

    /// Folds in an event about a VM; none if it is about something else.
    pub(super) fn change_vm(&mut self, position: Position, kind: &Kind, note: &Value) -> Option<Vec<RowName>> {
        match kind {
            Kind::VmImported { vm, account, provider, machine } => {
                let row = Vm {
                    id: vm.clone(),
                    account: account.clone(),
                    provider: provider.to_string(),
                    machine: machine.to_string(),
                    label: note["label"].as_str().unwrap_or_default().to_owned(),
                    exec_enabled: false,
                    version: position,
                };
                self.vms.insert(vm.clone(), row);
                Some(named(RowKind::Vm, vm.as_str()))
            }
            Kind::VmExecSet { vm, enabled } => {
                let mut row = self.vms.get_mut(vm)?;
                row.exec_enabled = *enabled;
                row.version = position;
                Some(named(RowKind::Vm, vm.as_str()))
            }
            _ => None,
        }
    }
}
