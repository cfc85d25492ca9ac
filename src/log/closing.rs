//! Ending a call: exactly one terminal event, and the rows that depended on the call (P2).
//!
//! INVARIANT: who did not run a call knows of it by its row alone, and ends it only if that row is what the call's own events
//! say ([`super::call_rows`]).

use super::call_rows::OpenCallRow;
use super::draft::{Draft, NewEvent};
pub use super::row_names::unknown_row;
use super::row_names::{claim_row, freed_with, job_row, open_row, readable};
use super::store::{StoreError, Want};
use super::vault::SealedPart;
use super::writer::{WriteError, Writer};
use crate::core::call::Status;
use crate::core::event::{Ended, EventKind};
use crate::core::id::{CallId, EventId, NodeId, Position};
use crate::core::job::{Claim, Idempotency, Job};
use crate::core::resource::place_of;
use crate::core::scrub::Scrubbed;

/// The end of a call, as it is handed to the writer. It says who may end the call: whoever ran it, the node that has it, or
/// whoever has read its events.
#[derive(Clone)]
pub struct Closing {
    /// The terminal event's id.
    pub id: EventId,
    /// Which terminal event: `succeeded`, `failed`, `cancelled`, `timed_out` or `unknown`.
    pub status: Status,
    /// What it says.
    pub ended: Ended,
    /// The encrypted result.
    pub parts: Vec<SealedPart>,
    /// The row of the place for a command and the idempotency row, if the call has them.
    pub depends: Vec<String>,
    /// It is closed by whoever ran it: if it has ended already, this is noted as a late result. Anybody else has no result to
    /// note, and has to have read the call's events.
    pub notes_late: bool,
    /// It is closed only while this node has it: who looked before may be late, and another one may have taken it over.
    pub run_by: Option<NodeId>,
}

/// What became of a closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// This was the end; written at this position.
    Now(Position),
    /// The call had ended already.
    Late,
    /// Its row is not what the log says; nothing was written.
    Unfit,
}

impl Closing {
    /// The end that whoever ran a call writes: unknown, until it is said how it ended.
    #[must_use]
    pub fn of(call: CallId, node: NodeId, id: EventId) -> Self {
        let ended = Ended::of(call, node, None);
        let (parts, depends) = (Vec::new(), Vec::new());
        Self { id, status: Status::Unknown, ended, parts, depends, notes_late: true, run_by: None }
    }

    /// The end of a call that this node did not run, while `job` is its row.
    #[must_use]
    pub fn recovered(job: &Job, node: NodeId, id: EventId) -> Self {
        let (depends, run_by) = (Self::depends_on(job), job.node.clone());
        Self { depends, run_by, notes_late: false, ..Self::of(job.call.clone(), node, id) }
    }

    /// What the transaction has to read for `job` to be ended.
    #[must_use]
    pub fn depends_on(job: &Job) -> Vec<String> {
        freed_with(job)
    }
}

impl Writer {
    /// Appends what the provider said of a call that ended `unknown`; false if that was noted before.
    pub async fn reconcile(&self, call: CallId, happened: Option<bool>, id: EventId) -> Result<bool, WriteError> {
        let row = unknown_row(&call);
        let want = Want { names: vec![row.clone()], calls: vec![call.clone()], ..Want::default() };
        self.write(want, move |draft| {
            let open = draft.bytes(&row).is_some();
            if open {
                draft.delete(&row);
            }
            let in_doubt = open && draft.chain(&call)?.is_some_and(|chain| chain.is_in_doubt());
            if in_doubt {
                draft.append(Position(0), NewEvent::plain(id.clone(), EventKind::Reconciled { call: call.clone(), happened }))?;
            }
            Ok(in_doubt)
        })
        .await
    }

    /// Appends a call's terminal event, and frees what it held.
    pub async fn close(&self, closing: Closing) -> Result<Closed, WriteError> {
        let calls = if closing.notes_late { Vec::new() } else { vec![closing.ended.call.clone()] };
        self.close_reading(closing, calls).await
    }

    /// The same after it failed: if it was kept all the same, its own end is found and is not taken for somebody else's.
    pub async fn close_again(&self, closing: Closing) -> Result<Closed, WriteError> {
        let calls = vec![closing.ended.call.clone()];
        self.close_reading(closing, calls).await
    }

    async fn close_reading(&self, closing: Closing, calls: Vec<CallId>) -> Result<Closed, WriteError> {
        let mut names = closing.depends.clone();
        names.push(job_row(&closing.ended.call));
        self.write(Want { names, calls, ..Want::default() }, move |draft| draft.close(closing.clone())).await
    }
}

impl Draft {
    /// Ends a call in this batch. Its job row and what that depends on must have been read, and if it is not closed by whoever
    /// ran it, its events.
    pub fn close(&mut self, closing: Closing) -> Result<Closed, StoreError> {
        let row = job_row(&closing.ended.call);
        let job = if closing.notes_late {
            let Some(job) = self.get::<Job>(&row)? else { return self.note_late(closing) };
            job
        } else {
            match self.open(&closing.ended.call, None)? {
                OpenCallRow::Fits(job, _) => *job,
                OpenCallRow::Gone => return Ok(Closed::Late),
                OpenCallRow::Unfit => return Ok(Closed::Unfit),
            }
        };
        if closing.run_by.is_some() && job.node != closing.run_by {
            return Ok(Closed::Late);
        }
        let code = closing.ended.code;
        let kind = end_of(closing.status, closing.ended);
        let position =
            self.append(job.last, NewEvent { id: closing.id, kind, parts: closing.parts, note: Scrubbed::default() })?;
        self.delete(&row);
        if job.counts {
            self.delete(&open_row(&job));
        }
        // Of what reached nobody there is nobody to ask.
        let may_be_asked = !job.resources.is_empty() || !job.providers.is_empty();
        if closing.status == Status::Unknown && may_be_asked && job.joins.is_none() {
            self.put(&unknown_row(&job.call), &job)?;
        }
        self.free_claim(&job, closing.status)?;
        let retryable = code.is_some_and(crate::core::code::Code::retryable);
        self.settle_idempotency(&job, closing.status, position, retryable)?;
        Ok(Closed::Now(position))
    }

    fn note_late(&mut self, closing: Closing) -> Result<Closed, StoreError> {
        if let Some(position) = self.end_written_as(&closing)? {
            return Ok(Closed::Now(position));
        }
        let kind = EventKind::LateResult { call: closing.ended.call };
        self.append(Position(0), NewEvent { id: closing.id, kind, parts: closing.parts, note: Scrubbed::default() })?;
        Ok(Closed::Late)
    }

    /// Where the call's end is, if it is this very one, of a call whose events were read.
    fn end_written_as(&self, closing: &Closing) -> Result<Option<Position>, StoreError> {
        let call = &closing.ended.call;
        let chain = if self.events_of(call).is_some() { self.chain(call)? } else { None };
        Ok(chain.and_then(|chain| chain.end.filter(|_| chain.ended_by.as_ref() == Some(&closing.id))))
    }

    fn free_claim(&mut self, job: &Job, status: Status) -> Result<(), StoreError> {
        let Some(place) = place_of(&job.resources).filter(|_| job.claim) else { return Ok(()) };
        let row = claim_row(place);
        // What cannot be read stays taken, and keeps no call from ending.
        let held = readable(self.get::<Claim>(&row)).filter(|claim| claim.call == job.call);
        match held {
            None => Ok(()),
            // The process may still run: the place stays taken until that is known.
            Some(claim) if status == Status::Unknown => self.put(&row, &Claim { unknown: true, ..claim }),
            Some(_) => {
                self.delete(&row);
                Ok(())
            }
        }
    }

    fn settle_idempotency(&mut self, job: &Job, status: Status, end: Position, retryable: bool) -> Result<(), StoreError> {
        let Some(name) = &job.idempotency else { return Ok(()) };
        let row = readable(self.get::<Idempotency>(name)).filter(|row| row.call == job.call);
        let Some(row) = row else { return Ok(()) };
        if status == Status::Failed && retryable {
            self.delete(name);
            return Ok(());
        }
        self.put(name, &Idempotency { end: Some(end), status, ..row })
    }
}

/// The terminal event of a status.
pub(super) fn end_of(status: Status, ended: Ended) -> EventKind {
    match status {
        Status::Succeeded => EventKind::Succeeded(ended),
        Status::Failed => EventKind::Failed(ended),
        Status::Cancelled => EventKind::Cancelled(ended),
        Status::TimedOut => EventKind::TimedOut(ended),
        _ => EventKind::Unknown(ended),
    }
}
