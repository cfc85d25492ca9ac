//! Approvals: the calls that wait for a person, and a person's answer. Hidden from MCP: no agent approves.
//!
//! INVARIANT: a held call that the caller may not answer looks exactly like one that does not exist (P9).

mod decide;
mod list;

use super::Execution;
use super::declare::Declared;
use crate::core::approval::Approval;
use crate::core::principal::Side;
use crate::core::scope::Scope;
use crate::core::state::ControlState;
use crate::core::visibility::Visibility;

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&list::LIST, &decide::DECIDE];

/// Whether the caller may know of a held call and answer it: staff who approve, and those of its account who may and see it.
fn may_answer(execution: &Execution, state: &ControlState, approval: &Approval) -> bool {
    let who = &execution.principal;
    Visibility::of_approver(who, state).call(&approval.account, approval.credential.as_str()) && may_answer_any(execution, state)
}

/// Whether the caller's key may answer at all.
fn may_answer_any(execution: &Execution, state: &ControlState) -> bool {
    let who = &execution.principal;
    let scope = if who.side == Side::Staff { Scope::StaffApprove } else { Scope::ApprovalsDecide };
    state.credentials.get(&who.credential).is_some_and(|key| key.created.scopes.contains(&scope))
}

/// A key also knows of its own calls.
fn may_see(execution: &Execution, state: &ControlState, approval: &Approval) -> bool {
    state.is_same_key(&approval.credential, &execution.principal.credential) || may_answer(execution, state, approval)
}
