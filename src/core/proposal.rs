//! A call as it is put to the decision, with what was found out about it before.

use super::approval::Bound;
use super::hold::Hold;
use super::id::{CallId, Position};
use super::lineage::LineageRows;
use super::principal::Principal;
use super::refusal::Refusal;
use super::resource::{ProviderReach, ResourceId};
use super::stop::Stop;
use super::tool::ToolSpec;

/// What the policy engine said, and of which policy set it said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Version of the set; 0 if there is none.
    pub version: i64,
    /// It permits.
    pub permit: bool,
    /// A person has to approve.
    pub hold: Option<Hold>,
    /// Ids of the policies that decided.
    pub policies: Vec<String>,
    /// Ids of shadow policies that would have decided otherwise.
    pub shadows: Vec<String>,
    /// There is none to be had on this node: what it serves is not the set in force, and does not become it.
    pub missing: bool,
}

/// A call as it is put to the decision.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The call.
    pub call: CallId,
    /// Who.
    pub principal: Principal,
    /// Whose rows were looked up for the credential.
    pub lineage_rows: LineageRows,
    /// Which tool; none if there is no such tool.
    pub tool: Option<&'static ToolSpec>,
    /// What the arguments name, in the order in which they do.
    pub resources: Vec<ResourceId>,
    /// Versions of these that policy and guard were evaluated against; 0 of what was not there.
    pub versions: Vec<Position>,
    /// The providers that it reaches beside those of its resources.
    pub reach: ProviderReach,
    /// Why it is refused before anything is looked up: arguments that do not fit, a protocol's rejection, a full quota of waiting
    /// callers, a node that could not stop, or policies that are not settled here.
    pub invalid: Option<Refusal>,
    /// The guard is not satisfied.
    pub guard: Option<Refusal>,
    /// The call turns command execution on.
    pub enables_exec: bool,
    /// Row key and arguments' HMAC, if an idempotency key was given.
    pub idempotency: Option<(String, String)>,
    /// What it asks to be stopped, if the tool does nothing else.
    pub stop: Option<Stop>,
    /// The call that it is the next round of: the same key's, with the same tool and arguments.
    pub follows: Option<CallId>,
    /// What the policies say.
    pub verdict: Verdict,
    /// What was approved, if it was held and is to be released.
    pub approved: Option<Bound>,
}
