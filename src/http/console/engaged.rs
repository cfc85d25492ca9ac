//! Switches in words, as every page, the overview and the pages of VMs and accounts say them.
//!
//! INVARIANT: a customer is told the message of a switch, never its reason, and that everything is stopped as its provider's doing.

use super::format::{DisplayTime, escape_hidden};
use super::target_words::stops;
use crate::core::state::{ControlState, Vm};
use crate::core::switch::{Switch, Target};
use crate::core::time::Micros;

/// A switch in force.
pub struct Engaged {
    /// What it stops, in words.
    pub stops: String,
    /// Its id.
    pub id: String,
    /// The target as it is written.
    pub target: String,
    /// What is said of it: the reason for staff, the message for customers.
    pub text: String,
    /// Since when.
    pub since: DisplayTime,
    /// Until when, if it ends by itself.
    pub until: Option<DisplayTime>,
}

/// Switches in the order in which they matter to whoever is to be told: what stops everybody, what a person stopped, the newest.
pub fn widest_first<'a>(switches: impl Iterator<Item = &'a Switch>) -> Vec<&'a Switch> {
    let mut all: Vec<&Switch> = switches.collect();
    all.sort_by_key(|row| {
        (!row.target.is_global(), row.by.is_none() && row.credential.is_some(), std::cmp::Reverse(row.engaged_at))
    });
    all
}

/// Whether a target is this VM, or what it belongs to: its account or its provider.
pub fn names(target: &Target, vm: &Vm) -> bool {
    match target {
        Target::All | Target::Class(_) | Target::Tool(_) | Target::Credential(_) => false,
        Target::Provider(name) => *name == vm.provider,
        Target::Account(id) => *id == vm.account,
        Target::Resource { id, .. } => id.as_str() == vm.id.as_str(),
    }
}

/// A switch as it is shown. Its reason is for the staff.
pub fn engaged(switch: &Switch, state: &ControlState, for_staff: bool, now: Micros) -> Engaged {
    let message = switch.message.clone().unwrap_or_else(|| "The operator has stopped this kind of call.".into());
    Engaged {
        stops: if for_staff { stops(&switch.target, state) } else { told_customers(&switch.target, state) },
        id: switch.id.to_string(),
        target: switch.target.to_string(),
        text: escape_hidden(if for_staff { &switch.reason } else { &message }),
        since: DisplayTime::of(switch.engaged_at, now),
        until: switch.ends_at().map(|end| DisplayTime::of(end, now)),
    }
}

/// The same for customers, who are told whose doing it is if it is about everybody.
fn told_customers(target: &Target, state: &ControlState) -> String {
    if *target == Target::All { "Your provider has paused all agent calls".into() } else { stops(target, state) }
}
