//! Events that are recorded for whoever reads the log, and change no control state.

use super::{Change, Command, Snapshot};
use crate::core::event::{DrillCompleted, EventKind};
use crate::core::id::{AccountId, EventId, UserId};
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;

/// What is recorded.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A drill of the switches came to its end.
    DrillCompleted(DrillCompleted),
    /// Staff, or whoever owns the data, read the log of an account or of all.
    LogRead {
        /// Who; none on the data itself.
        user: Option<UserId>,
        /// Whose; none of all.
        account: Option<AccountId>,
        /// What.
        what: Reading,
    },
    /// Somebody was not signed in.
    SignInRefused {
        /// Whom they wanted to be, if that is known.
        user: Option<UserId>,
        /// The issuer that they came by.
        issuer: Option<String>,
    },
}

/// Records something.
pub struct Notify {
    /// What.
    pub notice: Notice,
    /// The id of its event, if it has a text.
    pub event: Option<EventId>,
}

impl Command for Notify {
    type Answer = ();

    fn decide(&self, _: &Snapshot<'_>) -> Result<Change, Refusal> {
        let kind = match self.notice.clone() {
            Notice::DrillCompleted(drill) => EventKind::DrillCompleted(drill),
            Notice::LogRead { user, account, what } => EventKind::LogRead { user, account, what: what.to_string().into() },
            Notice::SignInRefused { user, issuer } => EventKind::SignInRefused { user, issuer: issuer.map(Into::into) },
        };
        Ok(Change::under(self.event.as_ref(), kind))
    }
}
