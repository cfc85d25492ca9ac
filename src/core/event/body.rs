//! The larger bodies of events. INVARIANT: they are frozen with the leaf; a field is only ever added, and is then optional.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::bounded::{Hex, Name, ToolName};
use crate::core::code::Code;
use crate::core::id::{AccountId, CallId, CredentialId, Epoch, NodeId, SwitchId, UserId, VmId};
use crate::core::limit::Limit;
use crate::core::principal::{Side, Via};
use crate::core::protocol::Protocol;
use crate::core::resource::ResourceId;
use crate::core::role::Role;
use crate::core::scope::ScopeSet;
use crate::core::time::Micros;

/// A payload part as the leaf names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `arguments`, `result`, `subject`, `note`.
    pub part: Hex,
    /// Size of the plaintext in bytes, before truncation.
    pub size: u64,
    /// The stored plaintext is only the head of what there was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// SHA-256 of the stored ciphertext, hex: anyone can check it without keys.
    pub sha256: Hex,
    /// HMAC-SHA-256 of the plaintext under a random salt that is inside the ciphertext, hex.
    pub commit: Hex,
    /// Why nothing was stored, where a stop was written all the same: both digests are empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// Why a part of what stops something was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// The vault did not answer, and no key to seal it with was at hand.
    VaultAway,
}

/// What an intent is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentRecorded {
    /// The call.
    pub call: CallId,
    /// Whose call.
    pub account: AccountId,
    /// Customer or staff.
    pub side: Side,
    /// The person behind it.
    pub user: UserId,
    /// The key.
    pub credential: CredentialId,
    /// How it came in.
    pub via: Via,
    /// Tool name; `unknown` for an unknown tool, whose name is not in the leaf.
    pub tool: ToolName,
    /// Version of the tool's schema; 0 for an unknown tool.
    pub tool_version: u32,
    /// What it names of what is the caller's, in the order of its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceId>,
    /// The providers that it reaches beside those of its resources: whom to ask what became of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<Name>,
    /// MCP session, as a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Hex>,
    /// MCP protocol version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The call that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<CallId>,
    /// HMAC-SHA-256 of the raw canonical arguments under the account's key, hex; empty of a stop for which the vault had no key.
    pub arguments: Hex,
    /// An idempotency key was given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keyed: bool,
}

/// How many rows of a kind were mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MendedRows {
    /// What they are rows of: `credential`, `switch`, `job` and so on.
    pub kind: Name,
    /// Written anew.
    pub written: u64,
    /// Removed.
    pub removed: u64,
}

/// What stopped a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The call.
    pub call: CallId,
    /// Why.
    pub code: Code,
    /// The switch that covered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchId>,
    /// The policies that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Name>,
    /// Version of the policy set; 0 if it was not asked.
    pub policy: i64,
    /// Epoch the decision was made at.
    pub epoch: Epoch,
    /// When it may be tried again, milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Leave to execute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// The call.
    pub call: CallId,
    /// Epoch the decision was made at.
    pub epoch: Epoch,
    /// Version of the policy set.
    pub policy: i64,
    /// The policies that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Name>,
    /// Policies that would have decided otherwise, were they enforced (`@shadow`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<Name>,
    /// Keys of the limits of which it took a slot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Name>,
    /// The node that claimed it in the same transaction; none if it was queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// It holds the one place for a command of what it is about.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claim: bool,
    /// It joined an earlier call with the same idempotency key, and ends as that one ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joins: Option<CallId>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The call.
    pub call: CallId,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The call whose recorded outcome this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<CallId>,
    /// The switch that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchId>,
    /// The node that ended it.
    pub node: NodeId,
}

impl Ended {
    /// An end without more to say.
    #[must_use]
    pub fn of(call: CallId, node: NodeId, code: Option<Code>) -> Self {
        Self { call, code, replay_of: None, switch: None, node }
    }
}

/// What a key may do, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialCreated {
    /// The key's id.
    pub credential: CredentialId,
    /// Whose key.
    pub account: AccountId,
    /// The person who holds it.
    pub user: UserId,
    /// Customer or staff.
    pub side: Side,
    /// SHA-256 of the key, hex; the key itself has 256 random bits.
    pub hash: Hex,
    /// The visible start of the key.
    pub prefix: Hex,
    /// What it may do at most.
    pub scopes: ScopeSet,
    /// VMs it may touch; all of the account's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vms: Option<Vec<VmId>>,
    /// It may read only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Micros>,
    /// Its own limit instead of the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// The key it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotates: Option<CredentialId>,
    /// The holder's role, if this is no key but what the console acts with for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What it was made with; none if it was made on the data itself, or for a sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<CredentialId>,
}

/// How a drill of the switches went. Of a drill that failed early not everything is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillCompleted {
    /// The call that the drill is.
    pub drill: CallId,
    /// Who drilled.
    pub by: UserId,
    /// The key that was made for it.
    pub credential: CredentialId,
    /// The switch that was engaged on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchId>,
    /// Nodes that were asked to confirm.
    pub nodes: u64,
    /// From asking for the switch to the first refusal, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_after_us: Option<u64>,
    /// From asking for the switch until every node had confirmed it, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced_after_us: Option<u64>,
    /// Calls that the log let through after the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted_after: Option<u64>,
    /// What did not hold; nothing if the drill passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<DrillFault>,
}

impl DrillCompleted {
    /// A drill of which nothing is known yet.
    #[must_use]
    pub fn begun(drill: CallId, by: UserId, credential: CredentialId) -> Self {
        let (switch, refused_after_us, fenced_after_us, admitted_after, failed) = (None, None, None, None, None);
        Self { drill, by, credential, switch, nodes: 0, refused_after_us, fenced_after_us, admitted_after, failed }
    }
}

/// What did not hold in a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillFault {
    /// The key's calls did not pass before anything was stopped.
    NothingPassed,
    /// No switch was engaged, or it refused nothing.
    NotRefused,
    /// A call passed under the switch.
    AdmittedLate,
    /// A node did not confirm in time.
    NotFenced,
    /// The switch was not released, or the key's calls did not pass again.
    NotReleased,
}

impl DrillFault {
    /// As people read it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NothingPassed => "the calls did not pass before anything was stopped",
            Self::NotRefused => "the switch refused nothing",
            Self::AdmittedLate => "a call passed under the switch",
            Self::NotFenced => "a node did not confirm in time",
            Self::NotReleased => "the calls did not pass after the release",
        }
    }
}

/// Most policies that a leaf names; a set of which more decide at once names the first ones.
const MAX_NAMED: usize = 32;

/// The policies of a verdict, as a leaf names them.
#[must_use]
pub fn named(policies: &[String]) -> Vec<Name> {
    policies.iter().take(MAX_NAMED).map(|id| id.as_str().into()).collect()
}
