//! Freeing the place for a command in a resource after one ended with its outcome unknown.
//!
//! INVARIANT: a command that still runs keeps its place.

use super::changing::{Author, Ids};
use super::draft::NewEvent;
use super::row_names::claim_row;
use super::store::Want;
use super::writer::{WriteError, Writer};
use crate::core::event::EventKind;
use crate::core::id::{CallId, Position, UserId};
use crate::core::job::Claim;
use crate::core::refusal::Refusal;
use crate::core::resource::ResourceId;

/// Why a place is freed.
pub enum Grounds {
    /// A person says so, whichever command has it.
    Person(UserId),
    /// This command is gone, as its provider says.
    Gone(CallId),
}

impl Writer {
    /// Frees a place whose command's end is unknown, and answers the claim that was found there, freed or not.
    pub async fn clear_claim(
        &self,
        author: Author,
        mut ids: Ids,
        resource: ResourceId,
        grounds: Grounds,
    ) -> Result<Result<Option<Claim>, Refusal>, WriteError> {
        let row = claim_row(&resource);
        let want = Want { names: vec![row.clone()], ..Want::default() };
        self.act(author, want, move |draft| {
            ids.rewind();
            let Some(claim) = draft.get::<Claim>(&row)? else { return Ok(Ok(None)) };
            let (is_meant, by) = match &grounds {
                Grounds::Person(user) => (true, Some(user.clone())),
                Grounds::Gone(call) => (claim.call == *call, None),
            };
            if claim.unknown && is_meant {
                draft.delete(&row);
                let kind = EventKind::ClaimCleared { resource: resource.clone(), call: claim.call.clone(), by };
                draft.append(Position(0), NewEvent::plain(ids.draw(), kind))?;
            }
            Ok(Ok(Some(claim)))
        })
        .await
    }
}
