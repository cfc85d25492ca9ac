//! A VM as control state has it: its row, what finds it, and what may be known of it where nobody knows VMs.

use serde::{Deserialize, Serialize};

use super::id::{AccountId, Position, VmId};
use super::index::{Called, called};
use super::noun::vm::VM;
use super::resource::{Attribute, Resource, ResourceId};
use super::table::{MultiIndex, Row};

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
pub struct VmIndex {
    pub(super) accounts: MultiIndex<AccountId, VmId>,
    pub(super) labels: MultiIndex<AccountId, Called<VmId>>,
    pub(super) machines: MultiIndex<Box<str>, Called<VmId>>,
}

impl Row for Vm {
    type Id = VmId;
    type Finder = VmIndex;

    fn id(&self) -> &VmId {
        &self.id
    }

    fn enter(&self, finder: &mut VmIndex) {
        finder.accounts.add(self.account.clone(), self.id.clone());
        finder.labels.add(self.account.clone(), called(&self.label, &self.id));
        finder.machines.add(self.provider.as_str().into(), called(&self.machine, &self.id));
    }

    fn leave(&self, finder: &mut VmIndex) {
        finder.accounts.drop(&self.account, &self.id);
        finder.labels.drop(&self.account, &called(&self.label, &self.id));
        finder.machines.drop(&self.provider.as_str().into(), &called(&self.machine, &self.id));
    }

    fn is_found_as(&self, was: &Self) -> bool {
        (&self.account, &self.label) == (&was.account, &was.label)
            && (&self.provider, &self.machine) == (&was.provider, &was.machine)
    }
}
