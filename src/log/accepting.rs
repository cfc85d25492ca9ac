//! Accepting a node's clock: an event that says how far the log's time is ahead of it, from which the log goes on.
//!
//! INVARIANT: it is judged in the transaction that writes it, by the newest event there.

use super::changing::{Author, Note};
use super::draft::{Draft, NewEvent};
use super::store::{StoreError, Want};
use super::writer::{WriteError, Writer};
use crate::core::clock::Proposed;
use crate::core::event::EventKind;
use crate::core::id::{CredentialId, Position, UserId};
use crate::core::refusal::Refusal;
use crate::core::time::Micros;

impl Writer {
    /// Goes on by a clock that somebody accepts: `by` a person with what they act with, or whoever owns the data. Answers the log's
    /// time from then on.
    pub async fn accept_clock(
        &self,
        author: Author,
        note: Note,
        proposed: Proposed,
        by: Option<(UserId, CredentialId)>,
    ) -> Result<Result<Micros, Refusal>, WriteError> {
        self.act(author, Want::default(), move |draft| draft.accept_clock(&note, &proposed, by.clone().unzip())).await
    }
}

impl Draft {
    fn accept_clock(
        &mut self,
        note: &Note,
        proposed: &Proposed,
        (by, credential): (Option<UserId>, Option<CredentialId>),
    ) -> Result<Result<Micros, Refusal>, StoreError> {
        let ahead = match self.follow_clock(proposed) {
            Ok(ahead) => ahead,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let kind = EventKind::ClockAccepted { by, credential, ahead };
        self.append(Position(0), NewEvent::under(note, kind))?;
        Ok(Ok(self.at))
    }
}
