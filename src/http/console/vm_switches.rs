//! What of a VM is stopped now, and by what: the effect of all switches together, class by class.
//!
//! INVARIANT: it says what `Switch::covers` says for a call by a key that no switch names. Any one switch is enough; a caller
//! is told of the oldest that covers the call.

use super::engaged::{Engaged, engaged};
use crate::core::state::{ControlState, Vm};
use crate::core::switch::Target;
use crate::core::time::Micros;
use crate::core::tool::Class;

/// How calls of one class stand on a VM.
pub struct ClassStatus {
    /// What kind of calls, in words.
    pub what: &'static str,
    /// What stops them; nothing if they are let through.
    pub by: Option<Engaged>,
}

const CLASSES: [(Class, &str); 4] =
    [(Class::Read, "Read"), (Class::Write, "Change"), (Class::Exec, "Run commands"), (Class::Destroy, "Destroy")];

/// How the calls on a VM stand; empty if nothing stops any.
pub fn class_statuses(vm: &Vm, state: &ControlState, for_staff: bool, now: Micros) -> Vec<ClassStatus> {
    let oldest = |class| state.switches_in_force(now).find(|switch| stops_class(&switch.target, vm, class));
    let shown = |(class, what): &(Class, &'static str)| ClassStatus {
        what,
        by: oldest(*class).map(|switch| engaged(switch, state, for_staff, now)),
    };
    let class_statuses: Vec<ClassStatus> = CLASSES.iter().map(shown).collect();
    if class_statuses.iter().any(|standing| standing.by.is_some()) { class_statuses } else { Vec::new() }
}

fn stops_class(target: &Target, vm: &Vm, class: Class) -> bool {
    match target {
        Target::All => true,
        Target::Class(stopped) => *stopped == class,
        Target::Provider(name) => *name == vm.provider,
        Target::Account(id) => *id == vm.account,
        Target::Resource { id, exec_only } => id.as_str() == vm.id.as_str() && (!exec_only || class == Class::Exec),
        Target::Tool(_) | Target::Credential(_) => false,
    }
}
