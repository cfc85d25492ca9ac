//! Calls that are queued or held, or were, and have not ended: an account and a key have only so many.
//!
//! INVARIANT: each has one row, which is written and deleted with the call's own; a transaction that opens one more has read
//! all of its account, so that no race and no other node gets beyond the quota.

use super::draft::Draft;
use super::row_names::{job_row, open_row, opens_of};
use super::store::StoreError;
use super::submission::Submission;
use crate::core::decide::Decision;
use crate::core::id::CredentialId;
use crate::core::job::Job;
use crate::core::proposal::Proposal;
use crate::core::quota::{QuotaKind, QuotaUsage};
use crate::core::refusal::Refusal;
use crate::core::tool::Timing;

/// What has to be read if the call may stay open.
pub(super) fn wanted(proposal: &Proposal) -> Vec<String> {
    if stays(proposal) { vec![opens_of(&proposal.principal.account)] } else { Vec::new() }
}

/// Stopping is never refused for what is open.
fn stays(proposal: &Proposal) -> bool {
    let tool = proposal.tool.filter(|tool| !tool.stops);
    tool.is_some_and(|tool| proposal.verdict.hold.is_some() || tool.timing == Timing::Queued)
}

impl Draft {
    /// Why the call may not stay open, if it would and there are too many.
    pub(super) fn too_many_open(&self, submission: &Submission, decision: &Decision) -> Result<Option<Refusal>, StoreError> {
        let who = &submission.proposal.principal;
        if !matches!(decision, Decision::Hold(_) | Decision::Admit(_)) || !stays(&submission.proposal) {
            return Ok(None);
        }
        let open: Vec<CredentialId> = self.under(&opens_of(&who.account))?;
        let used = QuotaUsage::of(open.iter().map(|credential| self.state().is_same_key(credential, &who.credential)));
        Ok(QuotaKind::OpenCalls.check(self.state().quotas().open_calls, used).err())
    }

    /// Writes the rows of a call that has begun.
    pub(super) fn put_open(&mut self, job: &Job) -> Result<(), StoreError> {
        if job.counts {
            self.put(&open_row(job), &job.credential)?;
        }
        self.put(&job_row(&job.call), job)
    }
}
