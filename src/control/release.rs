//! An approved call on its way: decided again from the start, as if it came in now, and queued if all agrees.
//!
//! INVARIANT: nothing that was found when the call was held counts any more. What a person said yes to is what runs, or
//! nothing does.

use super::Control;
use super::recorded::Recorded;
use crate::core::approval::{Approval, Bound, superseded};
use crate::core::job::Job;
use crate::core::principal::{Principal, Side, Via};
use crate::core::proposal::Proposal;
use crate::core::refusal::Refusal;
use crate::core::resource::{ProviderReach, Resource};
use crate::log::hold::{Release, Released};
use crate::log::reading::ReadError;
use crate::log::writer::WriteError;
use crate::tools::Tool;

/// How often it is evaluated again when policy or a resource move under it; then again when the log is looked at next.
const MAX_ATTEMPTS: usize = 3;

/// An approved call that could not be decided now.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It cannot be read back.
    #[error("reading back a held call")]
    Read(#[from] ReadError),
    /// The decision was not written.
    #[error("deciding a held call again")]
    Write(#[from] WriteError),
}

impl Control {
    /// Decides an approved call again: a worker takes it, or it ends `refused`.
    pub async fn release(&self, job: &Job, approval: &Approval) -> Result<Released, ReleaseError> {
        let Some(tool) = self.catalogue.get(&job.tool) else { return Ok(Released::Gone) };
        let recorded = self.recorded_request(job).await?;
        let mut released = Released::Unsettled;
        for _ in 0..MAX_ATTEMPTS {
            let proposal = self.again(job, approval, tool, recorded.as_ref());
            let id = self.ports.event_id();
            released = self.ports.writer.release(Release { proposal, id }, job).await?;
            if released != Released::Unsettled {
                break;
            }
        }
        match &released {
            Released::Queued => self.queued.notify_one(),
            Released::Refused(refusal) => self.end_held(job, refusal).await,
            Released::Unsettled | Released::Gone | Released::Unfit => {}
        }
        Ok(released)
    }

    /// A held call has ended without being run.
    pub async fn end_held(&self, job: &Job, refusal: &Refusal) {
        tracing::info!(
            target: "forelog::call",
            call_id = %job.call, account = %job.account, tool = job.tool, status = "refused", code = %refusal.code,
        );
        self.endings.notify(&job.call);
        self.ports.forget_seal(&job.call).await;
    }

    /// The call as a proposal of now.
    fn again(&self, job: &Job, approval: &Approval, tool: &Tool, recorded: Option<&Recorded>) -> Proposal {
        let state = self.ports.fence().state();
        let about: Vec<Resource> = job.resources.iter().filter_map(|id| state.resource(id)).collect();
        let mut principal = Principal {
            side: Side::Customer,
            account: job.account.clone(),
            user: approval.user.clone(),
            credential: job.credential.clone(),
            via: Via::Rest,
            ip: None,
            read_only: approval.read_only,
        };
        let (mut invalid, mut guard, mut enables_exec) = (Some(superseded("Its arguments are gone")), None, false);
        if let Some(recorded) = recorded {
            principal = Principal { read_only: approval.read_only, ..recorded.principal.clone() };
            let same = recorded.intent.arguments == approval.arguments && recorded.intent.tool_version == tool.facts.version;
            let args = self.catalogue.read(tool, &recorded.args);
            enables_exec = args.as_ref().is_ok_and(|args| tool.handler.enables_exec(args));
            guard = args.as_ref().ok().filter(|_| same).and_then(|args| tool.handler.guard(args, &about));
            invalid = if same { args.err() } else { Some(superseded("Its arguments mean something else")) };
        }
        Proposal {
            call: job.call.clone(),
            lineage_rows: state.lineage_rows(&job.credential),
            tool: Some(tool.facts),
            resources: job.resources.clone(),
            versions: about.iter().map(|row| row.version).collect(),
            reach: ProviderReach { providers: job.providers.clone(), visible: false },
            invalid,
            guard,
            enables_exec,
            stop: None,
            // It is the first call of its key, and must not join itself.
            idempotency: None,
            follows: None,
            verdict: self.verdict(&principal, Some(tool.facts), &about),
            approved: Some(Bound::from(approval)),
            principal,
        }
    }
}
