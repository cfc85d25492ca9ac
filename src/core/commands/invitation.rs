//! Invitations: made, taken back, taken.
//!
//! INVARIANT: an address has one link that works in an account, and none once it is somebody's there; a link works once, and no
//! longer than the right of whoever made it.

use super::ending::withdrawal;
use super::user::{NewUser, already, created};
use super::{Change, Command, Snapshot};
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::grant::{check_not_let_in, may_manage};
use crate::core::id::{AccountId, InvitationId, UserId};
use crate::core::principal::Principal;
use crate::core::quota::{Quota, QuotaKind, QuotaUsage};
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::state::ControlState;
use crate::core::switch::Switch;
use crate::core::time::Micros;
use crate::core::user::Invitation;

/// Invites somebody. What is over is taken back with it, and what it replaces.
pub struct Invite {
    /// The invitation.
    pub invitation: InvitationId,
    /// To be one of this account's people.
    pub account: AccountId,
    /// In this role.
    pub role: Role,
    /// Who invites.
    pub by: Principal,
    /// The link works until then.
    pub expires_at: Micros,
    /// Keyed digest of the e-mail address in that account.
    pub address: String,
    /// Earlier invitations for the same address that the log has no digest of.
    pub replaced: Vec<InvitationId>,
}

impl Command for Invite {
    /// The invitations that were taken back.
    type Answer = Vec<InvitationId>;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal> {
        let Snapshot { state, now, .. } = *at;
        let (account, by) = (&self.account, Some(self.by.user.clone()));
        if !may_manage(state, &self.by, account) {
            return Err(super::user::no_account());
        }
        check_not_let_in(state, &self.by, account)?;
        super::user::check_side(state, account, self.role)?;
        if state.has_address(account, &self.address) {
            return Err(already());
        }
        let is_replaced = |row: &Invitation| row.address.as_ref() == Some(&self.address) || self.replaced.contains(&row.id);
        let (gone, open): (Vec<&Invitation>, Vec<&Invitation>) =
            state.invitations_of(account).partition(|row| !row.holds(state, now) || is_replaced(row));
        let quotas = state.quotas();
        QuotaKind::Invitations.check(quotas.invitations, QuotaUsage::of(open.iter().map(|row| row.by == by)))?;
        let members = state.users_of(account).filter(|row| row.role.is_some()).count();
        let people = u32::try_from(members + open.len()).unwrap_or(u32::MAX);
        QuotaKind::People.check(Quota { account: quotas.people, key: quotas.people }, QuotaUsage { account: people, key: 0 })?;
        let ends = gone.iter().map(|row| withdrawal(row, by.clone().filter(|_| row.holds(state, now))));
        let made = EventKind::PersonInvited {
            invitation: self.invitation.clone(),
            account: account.clone(),
            role: self.role,
            by: by.clone(),
            credential: Some(self.by.credential.clone()),
            expires_at: self.expires_at,
            address: Some(self.address.as_str().into()),
        };
        let answer = gone.iter().map(|row| row.id.clone()).collect();
        Ok(Change::none().and_all(ends).and(made).answering(answer))
    }
}

/// Takes an invitation back.
pub struct RevokeInvitation {
    /// Which.
    pub invitation: InvitationId,
    /// Who takes it back.
    pub by: Principal,
}

impl Command for RevokeInvitation {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let row = at.state.invitations.get(&self.invitation).filter(|row| may_manage(at.state, &self.by, &row.account));
        let row = row.ok_or_else(|| Refusal::new(Code::NotFound, "There is no such invitation."))?;
        Ok(Change::of(withdrawal(row, Some(self.by.user.clone()))))
    }
}

/// Makes a person of somebody who has the link of an invitation, whose role they get.
pub struct TakeInvitation {
    /// Which.
    pub invitation: InvitationId,
    /// Their id.
    pub user: UserId,
    /// The account.
    pub account: AccountId,
    /// Keyed digest of their e-mail address in that account.
    pub address: String,
}

impl Command for TakeInvitation {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let over = || Refusal::new(Code::NotFound, "The invitation does not work any more.");
        let row = open(at.state, &self.invitation, at.now).ok_or_else(over)??;
        if row.account != self.account {
            return Err(over());
        }
        let (user, account, address) = (self.user.clone(), self.account.clone(), self.address.clone());
        let new = NewUser { user, account, role: row.role, address, event: None };
        new.check(at.state)?;
        Ok(Change::of(created(&new, Some(row))))
    }
}

/// An invitation while it has not ended, or why it waits.
#[must_use]
pub fn open<'a>(state: &'a ControlState, invitation: &InvitationId, now: Micros) -> Option<Result<&'a Invitation, Refusal>> {
    let row = state.invitations.get(invitation).filter(|row| row.holds(state, now))?;
    Some(row.stopped(state, now).map_or(Ok(row), |switch| Err(halted(switch))))
}

/// What somebody is told who would come in by a right that is stopped.
fn halted(switch: &Switch) -> Refusal {
    let message = switch.message.clone().unwrap_or_else(|| "The operator has stopped what this invitation was made with.".into());
    Refusal::new(Code::KillSwitchEngaged, message).hint("The link is kept: open it again when that is over.")
}
