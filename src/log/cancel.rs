//! Ending a call at somebody's wish: what waits ends at once, what runs is told to end by its row.
//!
//! INVARIANT: the wish is looked at where it is written, as whatever a call writes is ([`super::call_write`]); and what is ended is
//! open as its own events say, whatever became of its row. What staff ask for is an event of the call before anything is ended.

use super::changing::{Author, Ids};
use super::closing::Closing;
use super::draft::{Draft, NewEvent};
use super::row_names::job_row;
use super::store::{StoreError, Want};
use super::writer::{WriteError, Writer};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::event::{Ended, EventKind};
use crate::core::id::{CallId, NodeId};
use crate::core::job::Job;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::tool::ToolSpec;

/// A call that is to end.
pub struct Wish {
    /// The call.
    pub call: CallId,
    /// Its row as it was read before: what has to be freed with it.
    pub known: Option<Job>,
    /// The node that writes its end.
    pub node: NodeId,
    /// Finds tools by their names.
    pub facts: fn(&str) -> Option<&'static ToolSpec>,
}

impl Writer {
    /// Ends a call that no worker has taken; false if one has, or it has ended.
    pub async fn end_queued(&self, author: Author, mut ids: Ids, wish: Wish) -> Result<Result<bool, Refusal>, WriteError> {
        self.act(author, wish.want(), move |draft| {
            ids.rewind();
            draft.end_queued(&wish, &mut ids).map(Ok)
        })
        .await
    }

    /// Appends that staff asked for the end of a call; answers how it stands then, and whether this was the first to ask. What
    /// no worker has taken ends with it.
    pub async fn ask_to_end(
        &self,
        author: Author,
        mut ids: Ids,
        wish: Wish,
        by: Principal,
    ) -> Result<Result<(Status, bool), Refusal>, WriteError> {
        self.act(author, wish.want(), move |draft| {
            ids.rewind();
            draft.ask_to_end(&wish, &mut ids, &by)
        })
        .await
    }
}

impl Wish {
    fn want(&self) -> Want {
        let names = self.known.iter().flat_map(Closing::depends_on).chain([job_row(&self.call)]).collect();
        Want { names, calls: vec![self.call.clone()], ..Want::default() }
    }

    fn end(&self, ids: &mut Ids) -> Closing {
        let (status, ended) = (Status::Cancelled, Ended::of(self.call.clone(), self.node.clone(), Some(Code::Cancelled)));
        Closing { status, ended, notes_late: false, ..Closing::of(self.call.clone(), self.node.clone(), ids.draw()) }
    }

    /// Why this call cannot be cancelled.
    fn refusal(&self, job: &Job) -> Option<Refusal> {
        let conflict = |text: String| Some(Refusal::new(Code::Conflict, text));
        match &job.joins {
            _ if (self.facts)(&job.tool).is_some_and(|tool| tool.stops) => {
                conflict("What stops something is not stopped.".into())
            }
            _ if job.status == Status::Held => conflict("It waits for a person, who can reject it.".into()),
            Some(first) => conflict(format!("It ends as {first} ends.")),
            None => None,
        }
    }
}

impl Draft {
    fn end_queued(&mut self, wish: &Wish, ids: &mut Ids) -> Result<bool, StoreError> {
        let Some(job) = self.stoppable(&wish.call, wish.facts)?.filter(|job| job.status == Status::Queued) else {
            return Ok(false);
        };
        self.put(&job_row(&wish.call), &job)?;
        self.close(wish.end(ids))?;
        Ok(true)
    }

    fn ask_to_end(&mut self, wish: &Wish, ids: &mut Ids, by: &Principal) -> Result<Result<(Status, bool), Refusal>, StoreError> {
        let Some(mut job) = self.stoppable(&wish.call, wish.facts)? else { return Ok(Err(not_open())) };
        if let Some(refusal) = wish.refusal(&job) {
            return Ok(Err(refusal));
        }
        if job.cancel_asked {
            return Ok(Ok((job.status, false)));
        }
        let (call, by, credential) = (wish.call.clone(), by.user.clone(), by.credential.clone());
        job.last = self.append(job.last, NewEvent::plain(ids.draw(), EventKind::CancelRequested { call, by, credential }))?;
        job.cancel_asked = true;
        self.put(&job_row(&wish.call), &job)?;
        if job.status == Status::Queued {
            self.close(wish.end(ids))?;
            return Ok(Ok((Status::Cancelled, true)));
        }
        Ok(Ok((job.status, true)))
    }
}

fn not_open() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such call that waits or runs.")
}
