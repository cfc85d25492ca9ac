//! What a running call writes by itself: looked at by the switches, and by what the caller still is, in the transaction that
//! writes it.
//!
//! INVARIANT: whatever a call changes in the log is changed only while the log has the call as running on this node, its key
//! alive, and no switch over it. So after `engage` is committed nothing that the switch covers lands any more, fence or not
//! (P3), and a call that somebody else has ended changes nothing (P4).

use super::appender::Lane;
use super::draft::Draft;
use super::store::{StoreError, Want};
use super::writer::{WriteError, Writer};
use crate::core::call::Status;
use crate::core::chain::Chain;
use crate::core::code::Code;
use crate::core::decide::stopped;
use crate::core::id::{CallId, NodeId};
use crate::core::lineage::alive;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::tool::ToolFacts;

/// A call that is about to write something.
#[derive(Clone)]
pub struct Acting {
    /// The call.
    pub call: CallId,
    /// Who asked for it.
    pub principal: Principal,
    /// Its tool.
    pub tool: &'static ToolFacts,
    /// The node that runs it.
    pub node: NodeId,
}

impl Writer {
    /// Runs `entry` for a call that may still write. What stops something goes before whatever waits.
    pub(super) async fn act<R: Send + 'static>(
        &self,
        acting: Acting,
        mut want: Want,
        mut entry: impl FnMut(&mut Draft) -> Result<Result<R, Refusal>, StoreError> + Send + 'static,
    ) -> Result<Result<R, Refusal>, WriteError> {
        want.extend(&acting.want());
        let lane = if acting.tool.stops { Lane::Stopping } else { Lane::Ordinary };
        self.enqueue(lane, want, move |draft| match acting.check(draft)? {
            Ok(()) => entry(draft),
            Err(refusal) => Ok(Err(refusal)),
        })
        .await
    }
}

impl Acting {
    /// What a transaction reads for [`Acting::check`].
    #[must_use]
    pub fn want(&self) -> Want {
        Want { calls: vec![self.call.clone()], ..Want::default() }
    }

    /// Whether the call may write now, right at the head of the log. Ask it first in the entry that writes.
    pub fn check(&self, draft: &Draft) -> Result<Result<(), Refusal>, StoreError> {
        let (state, now) = (draft.state(), draft.now);
        if let Err(refusal) = alive(state, &self.principal.credential, now) {
            return Ok(Err(refusal));
        }
        // No switch covers a stop; and it lands although others took its node for dead meanwhile, for to stop twice harms
        // nobody, and to lose a stop does.
        if self.tool.stops {
            return Ok(Ok(()));
        }
        let runs_here = |chain: &Chain| chain.status == Status::Running && chain.node.as_ref() == Some(&self.node);
        let Some(chain) = draft.chain(&self.call)?.filter(runs_here) else {
            return Ok(Err(Refusal::new(Code::Cancelled, "The call was ended before it changed anything.")));
        };
        let call = chain.covered(self.tool);
        let switch = state.covering(&call, now).next();
        Ok(switch.map_or(Ok(()), |switch| Err(stopped(switch, state.counted_as(&self.principal.credential), now))))
    }
}
