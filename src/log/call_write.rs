//! Events that a running call writes itself. The transaction that writes them rechecks the call, its key and the switches.
//!
//! INVARIANT: a call changes the log only while it runs on this node, its key is alive and no switch covers it. So after `engage`
//! commits, no call that the switch covers writes anything, with or without the fence (P3), and neither does an ended call (P4).

use super::draft::Draft;
use super::store::{StoreError, Want};
use crate::core::call::Status;
use crate::core::chain::Chain;
use crate::core::code::Code;
use crate::core::decide::stopped;
use crate::core::id::{CallId, NodeId};
use crate::core::lineage::alive;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::tool::ToolSpec;

/// A call that is about to write something.
#[derive(Clone)]
pub struct CallWrite {
    /// The call.
    pub call: CallId,
    /// Who asked for it.
    pub principal: Principal,
    /// Its tool.
    pub tool: &'static ToolSpec,
    /// The node that runs it.
    pub node: NodeId,
}

impl CallWrite {
    /// What a transaction reads for [`CallWrite::check`].
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
        let call = chain.properties(self.tool);
        let switch = state.covering(&call, now).next();
        Ok(switch.map_or(Ok(()), |switch| Err(stopped(switch, state.counted_as(&self.principal.credential), now))))
    }
}
