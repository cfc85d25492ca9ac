//! Ending a call that waits, and telling one that runs to end: because staff ask for it, or whoever began it.
//!
//! INVARIANT: what staff ask for is an event of the call, before anything is ended. A call that runs is told by its job row; it
//! ends as its handler says.

use super::admission::job_row;
use super::changing::{Author, Ids};
use super::closing::Closing;
use super::draft::{Draft, NewEvent};
use super::store::{StoreError, Want};
use super::writer::{WriteError, Writer};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::event::{Ended, Kind};
use crate::core::id::{CallId, NodeId};
use crate::core::job::Job;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::tool::ToolFacts;

/// A call that is to end.
#[derive(Clone)]
pub struct Ending {
    /// Which.
    pub call: CallId,
    /// Its row, as it was found before the transaction.
    pub known: Option<Job>,
    /// The node that ends it, if it waits.
    pub node: NodeId,
    /// What is known of a tool by its name.
    pub facts: fn(&str) -> Option<&'static ToolFacts>,
}

impl Writer {
    /// Asks for the end of a call, as staff. Answers how it stands, and whether it was this wish that asked.
    pub async fn cancel_call(
        &self,
        author: Author,
        mut ids: Ids,
        ending: Ending,
        by: Principal,
    ) -> Result<Result<(Status, bool), Refusal>, WriteError> {
        self.enqueue(author.lane(), ending.want(author.want()), move |draft| {
            ids.rewind();
            match author.check(draft)? {
                Ok(()) => ending.ask(draft, &mut ids, &by),
                Err(refusal) => Ok(Err(refusal)),
            }
        })
        .await
    }

    /// Ends a call that no worker has taken; false if one has, or it has ended.
    pub async fn cancel_queued(&self, author: Author, mut ids: Ids, ending: Ending) -> Result<Result<bool, Refusal>, WriteError> {
        self.enqueue(author.lane(), ending.want(author.want()), move |draft| {
            ids.rewind();
            if let Err(refusal) = author.check(draft)? {
                return Ok(Err(refusal));
            }
            let waiting = draft.stoppable(&ending.call, ending.facts)?.filter(|job| job.status == Status::Queued);
            if let Some(job) = &waiting {
                draft.put(&job_row(&ending.call), job)?;
                draft.close(ending.closing(&mut ids))?;
            }
            Ok(Ok(waiting.is_some()))
        })
        .await
    }
}

impl Ending {
    fn want(&self, mut want: Want) -> Want {
        want.names.extend(self.known.iter().flat_map(Closing::depends_on).chain([job_row(&self.call)]));
        want.calls.push(self.call.clone());
        want
    }

    fn ask(&self, draft: &mut Draft, ids: &mut Ids, by: &Principal) -> Result<Result<(Status, bool), Refusal>, StoreError> {
        let Some(mut job) = draft.stoppable(&self.call, self.facts)? else { return Ok(Err(not_open())) };
        if let Some(refusal) = self.refusal(&job) {
            return Ok(Err(refusal));
        }
        if job.cancel_asked {
            return Ok(Ok((job.status, false)));
        }
        let (call, by, credential) = (self.call.clone(), by.user.clone(), by.credential.clone());
        job.last = draft.append(job.last, NewEvent::plain(ids.draw(), Kind::CancelRequested { call, by, credential }))?;
        job.cancel_asked = true;
        draft.put(&job_row(&self.call), &job)?;
        if job.status == Status::Queued {
            draft.close(self.closing(ids))?;
            return Ok(Ok((Status::Cancelled, true)));
        }
        Ok(Ok((job.status, true)))
    }

    fn closing(&self, ids: &mut Ids) -> Closing {
        Closing {
            id: ids.draw(),
            status: Status::Cancelled,
            ended: Ended::of(self.call.clone(), self.node.clone(), Some(Code::Cancelled)),
            parts: Vec::new(),
            depends: Vec::new(),
            notes_late: false,
            run_by: None,
        }
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

fn not_open() -> Refusal {
    Refusal::new(Code::NotFound, "There is no such call that waits or runs.")
}
