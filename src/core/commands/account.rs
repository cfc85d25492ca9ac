//! Accounts: opened with their first person, and set up.
//!
//! INVARIANT: an account never begins without somebody who administers it; an agent's rights grow only by whoever owns the data.

use super::user::{NewUser, created, no_account};
use super::{Change, Command, Snapshot};
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::grant::not_for_customers;
use crate::core::id::{AccountId, EventId};
use crate::core::principal::Side;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::state::ControlState;

/// Opens an account with its first person.
pub struct OpenAccount {
    /// Its first person, who names the account.
    pub first: NewUser,
    /// The id of the account's own event, if it has a text.
    pub event: Option<EventId>,
    /// Only while nobody is of the staff.
    pub only_first_staff: bool,
}

impl Command for OpenAccount {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let (first, side) = (&self.first, self.first.role.side());
        if self.only_first_staff && has_staff(at.state) {
            return Err(Refusal::new(Code::Conflict, "Somebody is of the staff already."));
        }
        if at.state.accounts.contains_key(&first.account) {
            return Err(Refusal::new(Code::Conflict, "The account is there already."));
        }
        let opened = EventKind::AccountCreated { account: first.account.clone(), side };
        let change = Change::under(self.event.as_ref(), opened);
        Ok(first.planned(change, created(first, None)))
    }
}

/// Whether the log knows somebody of the staff.
#[must_use]
pub fn has_staff(state: &ControlState) -> bool {
    let is_staff = |role: Role| role.side() == Side::Staff;
    state.staff().is_some_and(|house| state.users_of(house).any(|member| member.role.is_some_and(is_staff)))
}

/// Who sets an account up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setter {
    /// Somebody of the staff, who gives a customer's keys nothing.
    Staff,
    /// Whoever owns the data.
    Operator,
}

/// Says whether keys of an account may turn command execution on.
pub struct SetAccount {
    /// The account.
    pub account: AccountId,
    /// What it is to be.
    pub agents_may_enable_exec: bool,
    /// Who says so.
    pub by: Setter,
    /// The id of its event, if it has a text.
    pub event: Option<EventId>,
}

impl Command for SetAccount {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        if self.by == Setter::Staff && self.agents_may_enable_exec {
            return Err(not_for_customers("do not allow a customer's keys what the customer has not allowed them"));
        }
        if !at.state.accounts.contains_key(&self.account) {
            return Err(no_account());
        }
        let (account, agents_may_enable_exec) = (self.account.clone(), self.agents_may_enable_exec);
        let kind = EventKind::AccountChanged { account, agents_may_enable_exec };
        Ok(Change::under(self.event.as_ref(), kind))
    }
}
