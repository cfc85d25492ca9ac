//! Taking a queued call: the second fence. What a switch covers, or a command on a VM where commands are off by now, ends
//! `cancelled` instead of starting.
//!
//! INVARIANT: what is taken is what was admitted: its row is held against the call's own events first ([`super::call_rows`]).

use super::admitted::Admitted;
use super::call_rows::OpenCallRow;
use super::closing::Closing;
use super::draft::{Draft, NewEvent};
use super::fence::{Admissibility, Lease};
use super::row_names::job_row;
use super::store::{StoreError, Want};
use super::writer::{WriteError, Writer};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::event::{Ended, EventKind};
use crate::core::id::{CallId, EventId, NodeId, SwitchId};
use crate::core::job::Job;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::core::tool::ToolSpec;

/// What became of a claim.
#[derive(Debug)]
pub enum Claimed {
    /// This node runs it now, as its row says, which is what the log says.
    Admitted(Admitted, Box<Job>),
    /// A switch covered it, or its VM takes no commands any more; it has ended.
    Cancelled,
    /// Somebody else has it, or it has ended.
    Gone,
    /// Its row is not what the log says.
    Unfit,
}

/// A claim on its way into the log.
#[derive(Clone)]
struct Claiming {
    call: CallId,
    tool: &'static ToolSpec,
    node: NodeId,
    id: EventId,
    /// The node that has it; none if it waits.
    dead: Option<NodeId>,
    lease: Lease,
}

impl Writer {
    /// Takes a queued call for `node`.
    pub async fn claim(&self, job: &Job, tool: &'static ToolSpec, node: NodeId, id: EventId) -> Result<Claimed, WriteError> {
        self.start_claimed(job, tool, node, id, None).await
    }

    /// Takes a running call over from the dead node that `job` names. Only for what may run twice.
    pub async fn take_over(&self, job: &Job, tool: &'static ToolSpec, node: NodeId, id: EventId) -> Result<Claimed, WriteError> {
        self.start_claimed(job, tool, node, id, job.node.clone()).await
    }

    async fn start_claimed(
        &self,
        job: &Job,
        tool: &'static ToolSpec,
        node: NodeId,
        id: EventId,
        dead: Option<NodeId>,
    ) -> Result<Claimed, WriteError> {
        let mut names = Closing::depends_on(job);
        names.push(job_row(&job.call));
        let claim = Claiming { call: job.call.clone(), tool, node, id, dead, lease: self.fence().lease() };
        self.write(Want { names, calls: vec![job.call.clone()], ..Want::default() }, move |draft| draft.claim(claim.clone()))
            .await
    }
}

impl Draft {
    fn claim(&mut self, claim: Claiming) -> Result<Claimed, StoreError> {
        let Claiming { call, tool, node, id, dead, lease } = claim;
        let row = job_row(&call);
        let free = |job: &Job| match &dead {
            None => job.status == Status::Queued,
            Some(_) => job.status == Status::Running && job.node == dead && job.idempotent,
        };
        let mut job = match self.open(&call, Some(tool))? {
            OpenCallRow::Fits(job, _) if free(&job) => job,
            OpenCallRow::Fits(..) | OpenCallRow::Gone => return Ok(Claimed::Gone),
            OpenCallRow::Unfit => return Ok(Claimed::Unfit),
        };
        if let Some(switch) = covering(self.state(), &job, tool, self.now) {
            self.cancel_for(&job, switch, node, id)?;
            return Ok(Claimed::Cancelled);
        }
        if tool.needs_exec && !self.state().takes_commands(&job.resources) {
            self.cancel_as(&job, Ended::of(call, node, Some(Code::McpExecDisabled)), id)?;
            return Ok(Claimed::Cancelled);
        }
        let epoch = self.state().epoch.clamped();
        job.last = self.append(job.last, NewEvent::plain(id, EventKind::Started { call, node: node.clone(), epoch }))?;
        job.status = Status::Running;
        job.node = Some(node);
        self.put(&row, &job)?;
        Ok(Claimed::Admitted(Admitted::proven(&job, epoch, Admissibility { lease, at: self.now }), job))
    }

    /// Ends a call because a switch covers it.
    pub fn cancel_for(&mut self, job: &Job, switch: SwitchId, node: NodeId, id: EventId) -> Result<(), StoreError> {
        let mut ended = Ended::of(job.call.clone(), node, Some(Code::KillSwitchEngaged));
        ended.switch = Some(switch);
        self.cancel_as(job, ended, id)
    }

    fn cancel_as(&mut self, job: &Job, ended: Ended, id: EventId) -> Result<(), StoreError> {
        let node = ended.node.clone();
        let closing = Closing { status: Status::Cancelled, ended, notes_late: false, ..Closing::of(job.call.clone(), node, id) };
        self.close(closing).map(|_| ())
    }
}

/// The switch that covers an open call, if one does.
#[must_use]
pub fn covering(state: &ControlState, job: &Job, tool: &ToolSpec, now: Micros) -> Option<SwitchId> {
    let call = job.properties(tool);
    state.covering(&call, now).next().map(|switch| switch.id.clone())
}
