//! Ending a call at somebody's wish: what waits ends at once, what runs is told to end by its row.
//!
//! INVARIANT: the wish is looked at where it is written, as whatever a call writes is ([`super::acting`]); and what is ended is
//! open as its own events say, whatever became of its row.

use super::acting::Acting;
use super::closing::Closing;
use super::draft::{Draft, NewEvent};
use super::rows::job_row;
use super::store::{StoreError, Want};
use super::writer::{WriteError, Writer};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::event::Ended;
use crate::core::id::{CallId, EventId, NodeId};
use crate::core::job::Job;
use crate::core::refusal::Refusal;
use crate::core::tool::ToolFacts;

/// A call that is to end.
#[derive(Clone)]
pub struct Wish {
    /// The call.
    pub call: CallId,
    /// Its row as it was read before: what has to be freed with it.
    pub known: Option<Job>,
    /// The node that writes its end.
    pub node: NodeId,
    /// The id of its end.
    pub id: EventId,
    /// Finds tools by their names.
    pub facts: fn(&str) -> Option<&'static ToolFacts>,
}

/// Says why the end of an open call, or of none, may not be asked for.
pub type Refuses = fn(Option<&Job>, Option<&ToolFacts>) -> Option<Refusal>;

impl Wish {
    fn want(&self) -> Want {
        let names = self.known.iter().flat_map(Closing::depends_on).chain([job_row(&self.call)]).collect();
        Want { names, calls: vec![self.call.clone()], ..Want::default() }
    }

    fn end(&self) -> Closing {
        let (status, ended) = (Status::Cancelled, Ended::of(self.call.clone(), self.node.clone(), Some(Code::Cancelled)));
        Closing { status, ended, notes_late: false, ..Closing::of(self.call.clone(), self.node.clone(), self.id.clone()) }
    }
}

impl Writer {
    /// Ends a call that no worker has taken; false if one has, or it has ended.
    pub async fn end_queued(&self, acting: Acting, wish: Wish) -> Result<Result<bool, Refusal>, WriteError> {
        self.act(acting, wish.want(), move |draft| draft.end_queued(&wish).map(Ok)).await
    }

    /// Appends that the end of a call was asked for, unless `refuses` says why not; answers how it stands then, and whether this
    /// was the first to ask. What no worker has taken ends with it.
    pub async fn ask_to_end(
        &self,
        acting: Acting,
        wish: Wish,
        asked: NewEvent,
        refuses: Refuses,
    ) -> Result<Result<(Status, bool), Refusal>, WriteError> {
        self.act(acting, wish.want(), move |draft| draft.ask_to_end(&wish, asked.clone(), refuses)).await
    }
}

impl Draft {
    fn end_queued(&mut self, wish: &Wish) -> Result<bool, StoreError> {
        let Some(job) = self.stoppable(&wish.call, wish.facts)?.filter(|job| job.status == Status::Queued) else {
            return Ok(false);
        };
        self.put(&job_row(&wish.call), &job)?;
        self.close(wish.end())?;
        Ok(true)
    }

    fn ask_to_end(
        &mut self,
        wish: &Wish,
        asked: NewEvent,
        refuses: Refuses,
    ) -> Result<Result<(Status, bool), Refusal>, StoreError> {
        let job = self.stoppable(&wish.call, wish.facts)?;
        if let Some(refusal) = refuses(job.as_ref(), job.as_ref().and_then(|job| (wish.facts)(&job.tool))) {
            return Ok(Err(refusal));
        }
        let Some(mut job) = job else { return Ok(Ok((Status::Cancelled, false))) };
        if job.cancel_asked {
            return Ok(Ok((job.status, false)));
        }
        job.last = self.append(job.last, asked)?;
        job.cancel_asked = true;
        self.put(&job_row(&wish.call), &job)?;
        if job.status == Status::Queued {
            self.close(wish.end())?;
            return Ok(Ok((Status::Cancelled, true)));
        }
        Ok(Ok((job.status, true)))
    }
}
