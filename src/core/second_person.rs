//! Whether two users count as two people, where an action takes two. Pure.
//!
//! INVARIANT: a recently invited user does not count beside the inviter, nor beside others whom the inviter recently invited:
//! otherwise one user with the right to invite could confirm alone. Two users whom an issuer has ever known as one subject
//! count as one. The first user's consent counts only if that user may still give it when the second one does.

use std::collections::BTreeSet;
use std::time::Duration;

use super::id::{CredentialId, UserId};
use super::lineage::alive;
use super::scope::Scope;
use super::state::ControlState;
use super::switch::Switch;
use super::time::Micros;

/// What is known of how people came here, and since when that is long enough ago.
#[derive(Clone, Copy, Debug)]
pub struct InviteHistory<'a> {
    /// Who is here by whom.
    pub state: &'a ControlState,
    /// Time of the log.
    pub now: Micros,
    /// Somebody who was invited stands for themselves after this long.
    pub newcomer: Duration,
}

impl InviteHistory<'_> {
    /// Whether they are two.
    #[must_use]
    pub fn are_two(&self, one: &UserId, other: &UserId) -> bool {
        !self.circle(one).contains(other)
    }

    /// Whether somebody came so short a while ago that they do not stand for themselves yet.
    #[must_use]
    pub fn is_new(&self, who: &UserId) -> bool {
        let invited = self.state.users.get(who).and_then(|member| member.invited.as_ref());
        invited.is_some_and(|invited| self.now.since(invited.at) < self.newcomer)
    }

    /// A person, whoever they invited, whoever invited them, who is the same human to an issuer, and so on.
    fn circle(&self, one: &UserId) -> BTreeSet<UserId> {
        let (mut circle, mut left) = (BTreeSet::from([one.clone()]), vec![one]);
        while let Some(who) = left.pop() {
            let own = self.state.users.get(who);
            let host = own.and_then(|member| member.invited.as_ref()).map(|invited| &invited.by).filter(|_| self.is_new(who));
            let guests = self.state.guests_of(who).map(|guest| &guest.id).filter(|guest| self.is_new(guest));
            let digests = own.into_iter().flat_map(|member| &member.known_as);
            let same = digests.flat_map(|digest| self.state.known_as(digest)).map(|member| &member.id);
            left.extend(host.into_iter().chain(guests).chain(same).filter(|next| circle.insert((*next).clone())));
        }
        circle
    }
}

impl ControlState {
    /// Whether what somebody has said with a credential still counts: it and all that it comes from are alive, and neither it
    /// nor its person has lost the right. Whoever has lost it since has said nothing.
    #[must_use]
    pub fn still_says(&self, with: &CredentialId, rights: &[Scope], now: Micros) -> bool {
        let Ok(lineage) = alive(self, with, now) else { return false };
        let key = &lineage.own().created;
        let role = self.users.get(&key.user).map(|member| member.role);
        let may = |right: &Scope| role.is_none_or(|role| role.is_some_and(|role| role.scopes().contains(right)));
        rights.iter().any(|right| key.scopes.contains(right) && may(right))
    }

    /// Who has asked for the release of a switch, and still may.
    #[must_use]
    pub fn wish_to_release<'a>(&self, switch: &'a Switch, now: Micros) -> Option<&'a UserId> {
        let with = switch.release_requested_with.as_ref()?;
        switch.release_requested_by.as_ref().filter(|_| self.still_says(with, &[Scope::StaffSwitch], now))
    }
}
