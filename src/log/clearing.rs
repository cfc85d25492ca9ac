//! Freeing the place for a command in a resource after one ended with its outcome unknown.
//!
//! INVARIANT: a command that still runs keeps its place.

use super::admission::claim_row;
use super::changing::{Author, Ids};
use super::draft::NewEvent;
use super::writer::{WriteError, Writer};
use crate::core::event::Kind;
use crate::core::id::{Position, UserId};
use crate::core::job::Claim;
use crate::core::refusal::Refusal;
use crate::core::resource::ResourceId;

impl Writer {
    /// Frees a place whose command's end is unknown, and answers the claim that was found there, freed or not.
    pub async fn clear_claim(
        &self,
        author: Author,
        mut ids: Ids,
        resource: ResourceId,
        by: UserId,
    ) -> Result<Result<Option<Claim>, Refusal>, WriteError> {
        let (row, mut want) = (claim_row(&resource), author.want());
        want.names.push(row.clone());
        self.enqueue(author.lane(), want, move |draft| {
            ids.rewind();
            if let Err(refusal) = author.check(draft)? {
                return Ok(Err(refusal));
            }
            let Some(claim) = draft.get::<Claim>(&row)? else { return Ok(Ok(None)) };
            if claim.unknown {
                draft.delete(&row);
                let kind = Kind::ClaimCleared { resource: resource.clone(), call: claim.call.clone(), by: Some(by.clone()) };
                draft.append(Position(0), NewEvent::plain(ids.draw(), kind))?;
            }
            Ok(Ok(Some(claim)))
        })
        .await
    }
}
