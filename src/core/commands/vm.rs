//! VMs: a provider's machine given to an account, and command execution turned on or off.
//!
//! INVARIANT: a machine is one VM, of a customer, under a label that no other VM of theirs has.

use super::{Change, Command, Snapshot};
use crate::core::code::Code;
use crate::core::event::{CredentialCreated, EventKind};
use crate::core::id::{AccountId, EventId, VmId};
use crate::core::label::canonical;
use crate::core::noun::vm::vm_not_found;
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::scrub::holds_token;
use crate::core::state::ControlState;

/// A machine that is to be a VM.
#[derive(Clone, Debug)]
pub struct Import {
    /// Whose it is to be.
    pub account: AccountId,
    /// Who has the machine.
    pub provider: String,
    /// The provider's own name for it.
    pub machine: String,
    /// Its name for people, in its one form.
    pub label: String,
}

impl Import {
    /// What was asked for, with the label in its one form; or what cannot be taken of it.
    pub fn of(account: AccountId, provider: String, machine: String, label: &str) -> Result<Self, Refusal> {
        if holds_token(&machine) {
            // The leaf has it, and nothing is ever taken out of a leaf.
            return Err(Refusal::new(Code::ValidationFailed, "The machine's name has an access token in it."));
        }
        let fault = |why: String| Refusal::of_argument("/label", &why, &why);
        let label = canonical(label).map_err(|error| fault(error.to_string()))?;
        Ok(Self { account, provider, machine, label })
    }
}

/// Refuses a machine that is a VM already, and an account that is not a customer's.
pub fn check_machine(state: &ControlState, account: &AccountId, provider: &str, machine: &str) -> Result<(), Refusal> {
    if state.accounts.get(account).is_none_or(|row| row.side != Side::Customer) {
        return Err(Refusal::new(Code::NotFound, "There is no such account of a customer."));
    }
    let taken = state.vm_on(provider, machine).is_some();
    if taken { Err(Refusal::new(Code::Conflict, "The machine is a VM of an account already.")) } else { Ok(()) }
}

/// Gives a machine to an account.
pub struct ImportVm {
    /// The VM's id from then on.
    pub vm: VmId,
    /// What is to be one.
    pub import: Import,
    /// The id of its event, whose text has the label.
    pub event: EventId,
}

impl Command for ImportVm {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let Import { account, provider, machine, label } = &self.import;
        check_machine(at.state, account, provider, machine)?;
        if at.state.vms_labelled(account, label).next().is_some() {
            return Err(Refusal::new(Code::Conflict, "The account has a VM of that label already."));
        }
        let (vm, account) = (self.vm.clone(), account.clone());
        let (provider, machine) = (provider.as_str().into(), machine.as_str().into());
        Ok(Change::noted(&self.event, EventKind::VmImported { vm, account, provider, machine }))
    }
}

/// Turns command execution on a VM on or off.
pub struct SetExec {
    /// The VM.
    pub vm: VmId,
    /// Whose it is.
    pub account: AccountId,
    /// On.
    pub enabled: bool,
}

impl Command for SetExec {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        if !is_of(at.state, &self.vm, &self.account) {
            return Err(vm_not_found());
        }
        Ok(Change::of(EventKind::VmExecSet { vm: self.vm.clone(), enabled: self.enabled }))
    }
}

/// Refuses a key for VMs that are not its account's.
pub(super) fn check_vms(state: &ControlState, made: &CredentialCreated) -> Result<(), Refusal> {
    let all = made.vms.iter().flatten().all(|vm| is_of(state, vm, &made.account));
    if all { Ok(()) } else { Err(vm_not_found()) }
}

fn is_of(state: &ControlState, vm: &VmId, account: &AccountId) -> bool {
    state.vms.get(vm).is_some_and(|row| row.account == *account)
}
