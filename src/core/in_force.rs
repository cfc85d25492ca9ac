//! What is in force, as control state has it: the terms, and the switches.

use std::time::Duration;

use super::id::AccountId;
use super::quota::Quotas;
use super::state::ControlState;
use super::switch::Switch;
use super::terms::Terms;
use super::time::Micros;
use super::visibility::Visibility;

impl ControlState {
    /// The terms in force, to count and to show by; those that Forelog comes with before any were recorded. A window lets
    /// nothing through by these: that takes [`ControlState::terms`].
    #[must_use]
    pub fn known_terms(&self) -> Terms {
        self.terms.as_ref().map(|now| now.terms).unwrap_or_default()
    }

    /// How long who was invited does not count beside who invited them, when clocks say `now`.
    #[must_use]
    pub fn newcomer(&self, now: Micros) -> Duration {
        self.terms.as_ref().map_or_else(|| Terms::default().newcomer(), |terms| terms.newcomer(now))
    }

    /// Until when accounts are told of what staff read, when the log is at `at`; none if they are told of everything.
    #[must_use]
    pub fn reads_disclosed_until(&self, at: Micros) -> Option<Micros> {
        let terms = self.terms.as_ref().filter(|now| now.terms.staff_reads_shown_after_ms > 0)?;
        Some(terms.reads_disclosed_until(at))
    }

    /// The quotas of these.
    #[must_use]
    pub fn quotas(&self) -> Quotas {
        self.known_terms().quotas
    }

    /// The switches that stop something when clocks say `now`, oldest first.
    pub fn switches_in_force(&self, now: Micros) -> impl Iterator<Item = &Switch> {
        self.switches.values().filter(move |switch| !switch.is_over(now))
    }

    /// Those of them that can stop calls of an account.
    pub fn switches_touching(&self, account: &AccountId, now: Micros) -> impl Iterator<Item = &Switch> {
        let seen = Visibility::Account(account.clone());
        self.switches_in_force(now).filter(move |switch| seen.switch(switch, self))
    }
}
