//! The end of a key, with all that comes from it.

use super::{By, found};
use crate::core::code::Code;
use crate::core::commands::{Change, Command, Snapshot};
use crate::core::event::EventKind;
use crate::core::id::{CredentialId, EventId};
use crate::core::refusal::Refusal;

/// Revokes a key. Of one that was replaced the first time ends one secret of two, the second time both.
pub struct RevokeKey {
    /// Which.
    pub key: CredentialId,
    /// Who ends it. A caller may say it again; whoever owns the data is told that nothing was left to end.
    pub by: By,
    /// The id of its event, if it has a text.
    pub event: Option<EventId>,
}

impl Command for RevokeKey {
    type Answer = ();

    fn decide(&self, at: &Snapshot<'_>) -> Result<Change, Refusal> {
        let is_over = at.state.is_over(&self.key);
        let by = match &self.by {
            By::Operator if is_over => {
                return Err(Refusal::new(Code::NotFound, format!("There is no live key {}.", self.key)));
            }
            By::Operator => None,
            By::Caller(who) => Some(who.user.clone()),
        };
        found(at.state, &self.by, &self.key)?;
        if is_over {
            return Ok(Change::none());
        }
        let kind = EventKind::CredentialRevoked { credential: self.key.clone(), by };
        Ok(Change::under(self.event.as_ref(), kind))
    }
}
