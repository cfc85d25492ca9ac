//! Giving a provider's machine to an account: one set of rules, whoever does it, over REST, in the console or on the data itself.
//!
//! INVARIANT: a machine is one VM, of a customer, under a label that no other VM of theirs has.

use serde_json::json;

use super::code::Code;
use super::event::Kind;
use super::id::{AccountId, VmId};
use super::label::canonical;
use super::principal::Side;
use super::refusal::Refusal;
use super::scrub::holds_token;
use super::state::ControlState;

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
        let label = canonical(label).map_err(|error| {
            let details = json!({ "faults": [{ "path": "/label", "rule": error.to_string() }] });
            Refusal::new(Code::ValidationFailed, "The argument at /label cannot be taken.").details(details)
        })?;
        Ok(Self { account, provider, machine, label })
    }

    /// Why it cannot be, with things as they are.
    #[must_use]
    pub fn fault(&self, state: &ControlState) -> Option<Refusal> {
        if state.accounts.get(&self.account).is_none_or(|account| account.side != Side::Customer) {
            return Some(Refusal::new(Code::NotFound, "There is no such account of a customer."));
        }
        if state.vm_on(&self.provider, &self.machine).is_some() {
            return Some(Refusal::new(Code::Conflict, "The machine is a VM of an account already."));
        }
        let taken = state.vms_labelled(&self.account, &self.label).next().is_some();
        taken.then(|| Refusal::new(Code::Conflict, "The account has a VM of that label already."))
    }

    /// The event that makes it.
    #[must_use]
    pub fn event(&self, vm: VmId) -> Kind {
        let (provider, machine) = (self.provider.as_str().into(), self.machine.as_str().into());
        Kind::VmImported { vm, account: self.account.clone(), provider, machine }
    }
}
