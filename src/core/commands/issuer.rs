//! What an issuer says of people: made, linked, given a role, and none any more.
//!
//! INVARIANT: with a role it is remembered what gave it, in the same transaction: it ends with that. An older word of the issuer
//! does not undo a newer change of somebody's role.

use std::time::Duration;

use super::ending::{everything, role_change};
use super::user::{NewUser, absent, created};
use super::vouching::Word;
use super::{Change, Command, Snapshot};
use crate::core::event::EventKind;
use crate::core::id::{AccountId, EventId, Position, UserId};
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::state::ControlState;
use crate::core::user::User;

/// Makes a person of somebody whom an issuer vouches for.
pub struct AdmitByIssuer {
    /// Who.
    pub new: NewUser,
    /// The issuer, by its name in the configuration.
    pub issuer: String,
    /// How long its word holds.
    pub holds: Duration,
    /// If its groups say roles, what it calls them, as a keyed digest.
    pub gives: Option<String>,
}

impl Command for AdmitByIssuer {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        self.new.check(at.state)?;
        let (issuer, until) = (Some(self.issuer.as_str().into()), Some(at.now.plus(self.holds)));
        let (user, gives) = (self.new.user.clone(), self.gives.as_deref().map(Into::into));
        let vouched = EventKind::VouchedFor { user, issuer, until, gives, alone: true };
        Ok(self.new.planned(Change::none(), created(&self.new, None)).and(vouched))
    }
}

/// Links a person with what an issuer knows them as: from then on it vouches for them.
pub struct LinkIdentity {
    /// The person.
    pub user: UserId,
    /// The issuer, by its name in the configuration.
    pub issuer: String,
    /// Keyed digest of what it calls them.
    pub known_as: String,
    /// Its word.
    pub word: Word,
    /// The id of its event, whose text says from where.
    pub event: EventId,
}

impl Command for LinkIdentity {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        if at.state.users.get(&self.user).is_none_or(|row| row.role.is_none()) {
            return Err(absent());
        }
        let (issuer, known_as) = (self.issuer.as_str().into(), Some(self.known_as.as_str().into()));
        let linked = EventKind::IdentityLinked { user: self.user.clone(), issuer, known_as };
        Ok(Change::noted(&self.event, linked).and_all(self.word.event(&self.user, at)))
    }
}

/// Parts a person from what an issuer knows them as. What its groups gave ends with that.
pub struct UnlinkIdentity {
    /// The person.
    pub user: UserId,
    /// Of which account.
    pub account: AccountId,
    /// The issuer, by its name in the configuration.
    pub issuer: String,
    /// Keyed digest of what it calls them.
    pub known_as: String,
    /// The id of its event, whose text says from where.
    pub event: EventId,
}

impl Command for UnlinkIdentity {
    /// The role that they have without it, if it gave them theirs.
    type Answer = Option<Role>;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<Self::Answer>, Refusal> {
        let (issuer, known_as) = (self.issuer.as_str().into(), Some(self.known_as.as_str().into()));
        let change = Change::noted(&self.event, EventKind::IdentityUnlinked { user: self.user.clone(), issuer, known_as });
        let given = at.state.users.get(&self.user).and_then(|member| member.given.as_ref());
        let Some(given) = given.filter(|given| given.by == self.known_as) else { return Ok(change.answering(None)) };
        Ok(change.and_all(self.without(at.state, given.own)).answering(given.own))
    }
}

impl UnlinkIdentity {
    /// What ends for somebody whose role the issuer gave, and who is `own` without it.
    fn without(&self, state: &ControlState, own: Option<Role>) -> Vec<EventKind> {
        let Some(role) = state.users.get(&self.user).and_then(User::acting_role) else { return Vec::new() };
        match own {
            Some(own) if own == role => Vec::new(),
            Some(own) => role_change(state, &self.user, &self.account, own, None),
            None => withdrawn(state, &self.user, &self.account, &self.issuer, Some(role)),
        }
    }
}

/// Gives a person the role that their groups have now. Sessions and keys end as by any change of role.
pub struct GiveRole {
    /// The person.
    pub user: UserId,
    /// Of which account.
    pub account: AccountId,
    /// What they may do from now on.
    pub role: Role,
    /// Where the log was when the issuer was asked.
    pub seen: Position,
    /// The issuer's word.
    pub word: Word,
    /// The id of its event, whose text names the issuer.
    pub event: EventId,
}

impl Command for GiveRole {
    /// False, and nothing changes, if they were removed, or their role was changed after the issuer was asked.
    type Answer = bool;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<bool>, Refusal> {
        // An issuer does not bring back a removed user.
        let member = at.state.users.get(&self.user).filter(|member| member.role.is_some());
        if member.is_none_or(|member| member.role_at > self.seen) {
            return Ok(Change::none().answering(false));
        }
        let mut kinds = role_change(at.state, &self.user, &self.account, self.role, None);
        let changed = kinds.pop();
        // What gives the role is said before it is given: what they were before is kept.
        let change = Change::none().and_all(kinds).and_all(self.word.event(&self.user, at));
        Ok(changed.into_iter().fold(change, |change, kind| change.and_noted(&self.event, kind)).answering(true))
    }
}

/// Ends what a person acts with, because no group gives them a role any more. Their role is what they come back to with a group that
/// gives one.
pub struct WithdrawRole {
    /// The person.
    pub user: UserId,
    /// Of which account.
    pub account: AccountId,
    /// The issuer, by its name in the configuration.
    pub issuer: String,
    /// Where the log was when the issuer was asked.
    pub seen: Position,
}

impl Command for WithdrawRole {
    /// False, and nothing ends, if somebody changed their role after the issuer was asked.
    type Answer = bool;

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change<bool>, Refusal> {
        let member = at.state.users.get(&self.user);
        let role = member.and_then(User::acting_role);
        if role.is_some() && member.is_some_and(|member| member.role_at > self.seen) {
            return Ok(Change::none().answering(false));
        }
        let kinds = withdrawn(at.state, &self.user, &self.account, &self.issuer, role);
        Ok(Change::none().and_all(kinds).answering(true))
    }
}

/// The end of everything that a person acts with, and of the role that lets them in.
fn withdrawn(state: &ControlState, user: &UserId, account: &AccountId, issuer: &str, role: Option<Role>) -> Vec<EventKind> {
    let mut kinds = everything(state, user, None);
    let (user, account) = (user.clone(), account.clone());
    kinds.extend(role.map(|role| EventKind::RoleWithdrawn { user, account, issuer: issuer.into(), role }));
    kinds
}
