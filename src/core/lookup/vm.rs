//! VMs in control state.

use super::Lookup;
use crate::core::id::AccountId;
use crate::core::index::with_name;
use crate::core::noun::vm::VM;
use crate::core::resource::ResourceId;
use crate::core::state::ControlState;
use crate::core::vm::Vm;

/// How they are found as resources.
pub(super) static VMS: Lookup = Lookup {
    noun: &VM,
    get: |state, id| state.vm(id).map(Vm::resource),
    labelled: |state, account, label| state.vms_labelled(account, label).map(Vm::resource).collect(),
    listed: |state, account| match account {
        Some(account) => Box::new(state.vms_of(account).map(Vm::resource)),
        None => Box::new(state.vms.values().map(Vm::resource)),
    },
    around: |state, id| id.as_str().parse().map(|id| state.vms.around(&id)).unwrap_or_default(),
};

impl ControlState {
    /// The VM behind a resource's id, if it is one.
    #[must_use]
    pub fn vm(&self, id: &ResourceId) -> Option<&Vm> {
        self.vms.get(&id.as_str().parse().ok()?)
    }

    /// The VMs of an account.
    pub fn vms_of(&self, account: &AccountId) -> impl DoubleEndedIterator<Item = &Vm> + use<'_> {
        self.vms.index().accounts.of(account).filter_map(|id| self.vms.get(id))
    }

    /// The VMs of an account that have this label: one, unless they were imported on the data itself.
    pub fn vms_labelled(&self, account: &AccountId, label: &str) -> impl Iterator<Item = &Vm> + use<'_> {
        with_name(&self.vms.index().labels, account, label).into_iter().filter_map(|id| self.vms.get(id))
    }

    /// The VM that is this machine of a provider.
    #[must_use]
    pub fn vm_on(&self, provider: &str, machine: &str) -> Option<&Vm> {
        let found = with_name(&self.vms.index().machines, provider, machine);
        found.into_iter().find_map(|id| self.vms.get(id))
    }

    /// The VMs at a provider.
    pub fn vms_at(&self, provider: &str) -> impl Iterator<Item = &Vm> + use<'_> {
        let at = self.vms.index().machines.of(provider);
        at.filter_map(|(_, id)| self.vms.get(id.as_ref()?))
    }

    /// The providers that VMs are at.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.vms.index().machines.ones().map(AsRef::as_ref)
    }

    /// The accounts that have VMs.
    pub fn owners(&self) -> impl ExactSizeIterator<Item = &AccountId> {
        self.vms.index().accounts.ones()
    }
}
