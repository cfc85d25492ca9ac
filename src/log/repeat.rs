//! Calls that repeat an earlier one: by their idempotency key, or because they follow it.
//!
//! INVARIANT: what is repeated is what the earlier call's own events say: the same key asked for the same, and this is how it
//! ended. A row that says anything else repeats nothing (P9), and is in nobody's way who stops something.

use super::closing::end_of;
use super::draft::{Draft, NewEvent};
use super::fence::Lease;
use super::store::StoreError;
use super::submission::{Submission, Submitted};
use crate::core::chain::RowMismatch;
use crate::core::code::Code;
use crate::core::decide::Slots;
use crate::core::event::Ended;
use crate::core::id::CallId;
use crate::core::job::Idempotency;
use crate::core::proposal::Proposal;
use crate::core::refusal::Refusal;

impl Draft {
    /// Ends a submission as the call ended that `row` names.
    pub(super) fn replay(&mut self, submission: &Submission, row: Idempotency, slots: &Slots) -> Result<Submitted, StoreError> {
        let Some(end) = row.end else { return Err(StoreError::Unreadable("a replay without an end".into())) };
        let keys = self.take_slots(slots);
        let last = self.record(submission, keys, Some(row.call.clone()), false)?;
        let ended = Ended {
            call: submission.proposal.call.clone(),
            code: None,
            replay_of: Some(row.call.clone()),
            switch: None,
            node: submission.node.clone(),
        };
        let [_, _, id] = &submission.events;
        self.append(last, NewEvent::plain(id.clone(), end_of(row.status, ended)))?;
        Ok(Submitted::Replayed { first: row.call, status: row.status, end })
    }

    /// Whether a submission may repeat `first`, which the row of its idempotency key names or which it follows: that call's own
    /// events say that it was the same, and how it ended.
    pub(super) fn check_repeat(&self, submission: &Submission, first: &CallId) -> Result<(), Refusal> {
        let row = submission.proposal.idempotency.as_ref().filter(|_| submission.proposal.follows.is_none());
        let said = row.map_or(Ok(None), |(name, _)| self.get::<Idempotency>(name));
        let checked = said.and_then(|said| {
            let chain = self.chain(first)?;
            let fits = chain.ok_or(RowMismatch("call")).and_then(|chain| {
                chain.is_repeated_by(&submission.intent, self.state())?;
                said.map_or(Ok(()), |said| chain.ended_as(&said))
            });
            fits.map_err(|why| StoreError::Unreadable(why.to_string()))
        });
        checked.map_err(|error| {
            let row = row.map_or("", |(name, _)| name.as_str());
            tracing::error!(row, call_id = %first, %error, "what is to be repeated is not what the log says, and is not repeated");
            Refusal::new(Code::ControlStateUnreadable, "What this call repeats cannot be read.")
        })
    }

    /// What cannot be repeated is refused; what stops something is done once more.
    pub(super) fn not_repeated(&mut self, from: &Submission, refusal: Refusal, lease: Lease) -> Result<Submitted, StoreError> {
        if !from.proposal.tool.is_some_and(|tool| tool.stops) {
            return self.refuse_new(from, None, refusal);
        }
        let anew = Proposal { idempotency: None, follows: None, ..from.proposal.clone() };
        let decision = self.decide(&anew);
        self.act(from, decision, lease)
    }
}
