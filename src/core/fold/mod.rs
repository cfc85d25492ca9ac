//! The fold: what each event makes of control state. A kind of row has a file here.
//!
//! INVARIANT: [`ControlState::apply`] is the only way in, for the writer and for `doctor` alike.

mod key;
mod person;
mod switch;
mod vm;

use serde_json::Value;

use super::clock::Accepted;
use super::earlier_terms::TermsInForce;
use super::event::EventKind;
use super::id::Position;
use super::row::{Account, PolicySet, RowKind, RowName, named};
use super::state::ControlState;
use super::time::Micros;

impl ControlState {
    /// Folds one event in and names the rows that it changed. `note` is the event's free text, by field.
    pub fn apply(&mut self, position: Position, at: Micros, kind: &EventKind, note: &Value) -> Vec<RowName> {
        let before = self.clone();
        self.position = position;
        let touched = match kind {
            EventKind::ClockAccepted { ahead, .. } => {
                self.clock = Some(Accepted { at, ahead: *ahead });
                named(RowKind::Clock, "accepted")
            }
            // What ends by itself is judged by what clocks say, and so is when it began.
            _ => self.change(position, self.on_clocks(at), kind, note),
        };
        if !touched.is_empty() {
            self.epoch = self.epoch.next();
        }
        self.count(&before, &touched);
        touched
    }

    /// Whether an event of this kind may change any row: false for calls, and for three frequent kinds that never do.
    #[must_use]
    pub fn is_concerned(kind: &EventKind) -> bool {
        let quiet =
            matches!(kind, EventKind::LogRead { .. } | EventKind::RefusalsCounted { .. } | EventKind::SignInRefused { .. });
        kind.call().is_none() && !quiet
    }

    fn change(&mut self, position: Position, at: Micros, kind: &EventKind, note: &Value) -> Vec<RowName> {
        match kind {
            EventKind::AccountCreated { account, side } => {
                let row = Account { id: account.clone(), side: *side, agents_may_enable_exec: false };
                self.accounts.insert(account.clone(), row);
                named(RowKind::Account, account.as_str())
            }
            EventKind::AccountChanged { account, agents_may_enable_exec } => {
                let Some(mut row) = self.accounts.get_mut(account) else { return Vec::new() };
                row.agents_may_enable_exec = *agents_may_enable_exec;
                named(RowKind::Account, account.as_str())
            }
            EventKind::StateMended { epoch, .. } => {
                self.epoch = self.epoch.max(*epoch);
                Vec::new()
            }
            EventKind::PolicyLoaded { version, sha256, .. } => {
                self.policy = Some(PolicySet { version: *version, sha256: sha256.to_string() });
                named(RowKind::Policy, "set")
            }
            EventKind::LimitsSet { version, terms, .. } => {
                let first = || TermsInForce::first(*version, **terms);
                let after = |was: &TermsInForce| was.followed_by(*version, **terms, at, self.in_log(at));
                self.terms = Some(self.terms.as_ref().map_or_else(first, after));
                named(RowKind::Limits, "set")
            }
            _ => {
                let key = self.change_key(at, kind, note);
                let vm = key.or_else(|| self.change_vm(position, kind, note));
                let switch = vm.or_else(|| self.change_switch(position, at, kind, note));
                switch.or_else(|| self.change_users(at, kind)).unwrap_or_default()
            }
        }
    }
}
