//! Who vouches for a person, and until when: an issuer's word keeps their keys alive.
//!
//! INVARIANT: keys that had ended by an issuer's silence do not live again by a password.

use std::time::Duration;

use super::ending::revocations;
use super::{Change, Snapshot};
use crate::core::event::EventKind;
use crate::core::id::UserId;

/// How much of the time that an issuer's word holds may be over before it is written down again.
const RENEWED: u32 = 30;

/// What somebody's coming in says of who vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing: they are linked with an issuer, and came in without it.
    Unsaid,
    /// An issuer does, by its name in the configuration, and its word holds so long for their keys. If its groups say their role,
    /// what it calls them, as a keyed digest.
    Issuer(String, Duration, Option<String>),
    /// Nobody has to: no issuer knows them, or none any more.
    Nobody,
}

impl Word {
    /// What is written down of it; nothing, if the log says about the same.
    pub(super) fn event(&self, user: &UserId, at: &Snapshot<'_>) -> Option<EventKind> {
        let member = at.state.users.get(user)?;
        let (said, user) = (member.vouched_until, user.clone());
        match self {
            Self::Unsaid => None,
            Self::Nobody => said.map(|_| EventKind::VouchedFor { user, issuer: None, until: None, gives: None, alone: false }),
            Self::Issuer(name, holds, gives) => {
                let until = at.now.plus(*holds);
                let is_given = |by: &String| member.given.as_ref().is_some_and(|given| given.by == *by && given.issuer == *name);
                let is_said = said.is_some_and(|said| said <= until && until.since(said) < *holds / RENEWED)
                    && gives.as_ref().is_none_or(is_given);
                let (issuer, gives) = (Some(name.as_str().into()), gives.as_deref().map(Into::into));
                (!is_said).then_some(EventKind::VouchedFor { user, issuer, until: Some(until), gives, alone: false })
            }
        }
    }

    /// What ends as the word changes.
    fn ended(&self, user: &UserId, at: &Snapshot<'_>) -> Vec<EventKind> {
        match self {
            Self::Nobody => revocations(at.state, user, None, |row| at.state.is_unvouched(row, at.now)),
            Self::Unsaid | Self::Issuer(..) => Vec::new(),
        }
    }

    /// A change with what the word ends and says.
    pub(super) fn said(&self, change: Change, user: &UserId, at: &Snapshot<'_>) -> Change {
        change.and_all(self.ended(user, at)).and_all(self.event(user, at))
    }
}
