//! The small rows beside the log that a decision looks up by key: open calls, idempotency, claims, refusal runs, nodes.

use serde::{Deserialize, Serialize};

use super::bounded::Name;
use super::call::Status;
use super::canonical::canonical_exact;
use super::code::Code;
use super::covering::Covered;
use super::id::{AccountId, CallId, CredentialId, Epoch, NodeId, Position, RunId};
use super::resource::ResourceId;
use super::root::RootKey;
use super::time::Micros;
use super::tool::{Class, ToolSpec};

/// A call that has no terminal event yet. Deleted in the transaction that ends the call.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each read by one check")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The call.
    pub call: CallId,
    /// Whose call.
    pub account: AccountId,
    /// The key.
    pub credential: CredentialId,
    /// The tool.
    pub tool: String,
    /// Its class, for switches.
    pub class: Class,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceId>,
    /// The providers that it reaches beside those of its resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<Name>,
    /// `queued`, `running` or `held`.
    pub status: Status,
    /// Where the intent is written.
    pub intent: Position,
    /// Where the newest event of the call is written.
    pub last: Position,
    /// The node that runs it.
    pub node: Option<NodeId>,
    /// Running it again changes nothing.
    pub idempotent: bool,
    /// Key of its idempotency row.
    pub idempotency: Option<String>,
    /// It holds the place for a command of what it is about.
    pub claim: bool,
    /// The call it joined.
    pub joins: Option<CallId>,
    /// How many calls without an idempotency key have joined it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub joined: u32,
    /// Its arguments are sealed in the vault, because what is recorded of them is not all of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// It was held, and goes on only because a person approved it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// It counts as one of the calls that its account has open, until it ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counts: bool,
    /// The staff have asked for its end; the node that runs it cancels it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_asked: bool,
}

impl Job {
    /// The properties of a call that a switch's target matches.
    #[must_use]
    pub fn properties<'a>(&'a self, tool: &'a ToolSpec) -> Covered<'a> {
        let Self { account, credential, resources, providers, .. } = self;
        Covered { tool, account, credential, resources, providers, visible: false }
    }
}

/// What became of the first call with an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The first call.
    pub call: CallId,
    /// HMAC of its arguments, hex.
    pub arguments: String,
    /// When the row may be forgotten.
    pub expires_at: Micros,
    /// Its terminal event, once there is one.
    pub end: Option<Position>,
    /// Its status at that event.
    pub status: Status,
    /// How many calls have joined it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub joined: u32,
}

/// The one place for a command in a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The call that holds it.
    pub call: CallId,
    /// That call ended `unknown`: its process may still run.
    pub unknown: bool,
    /// The key it came with, so that others who may not see it are not told which call it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialId>,
}

impl Claim {
    /// A call's.
    #[must_use]
    pub fn of(call: &CallId, credential: &CredentialId) -> Self {
        Self { call: call.clone(), unknown: false, credential: Some(credential.clone()) }
    }
}

/// A row of a credential's refusals that are counted: those of one tool and what it is about by code, or those that have no run of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// How many runs the credential has in its other rows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub kinds: u32,
    /// The runs of this row.
    pub runs: Vec<Run>,
}

/// Identical refusals of one credential within a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id, which callers get instead of a call id.
    pub id: RunId,
    /// Whose.
    pub account: AccountId,
    /// Tool name; [`Run::UNKNOWN`] for all that are none, [`Run::ANY`] if tools are not told apart.
    pub tool: String,
    /// What they were about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceId>,
    /// Why they were refused; in a mixed run why the first one was.
    pub code: Code,
    /// It is of every kind that has no run of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixed: bool,
    /// How many were recorded as full calls in this minute.
    pub recorded: u32,
    /// How many were counted instead.
    pub counted: u64,
    /// First of the minute.
    pub since: Micros,
    /// First that was counted.
    pub first: Micros,
    /// Last that was counted.
    pub last: Micros,
}

impl Run {
    /// Stands for every tool that does not exist.
    pub const UNKNOWN: &'static str = "unknown";

    /// Stands for any tool.
    pub const ANY: &'static str = "*";

    /// The names that calls may have on record: each tool's, and the one that stands for all that are none.
    #[must_use]
    pub fn names_on_record(tools: impl Iterator<Item = &'static ToolSpec>) -> Vec<&'static str> {
        tools.map(|tool| tool.name).chain([Self::UNKNOWN]).collect()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_no_time(micros: &u64) -> bool {
    *micros == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A process that executes calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Another number with every beat: while it stands still the lease runs out.
    pub beat: i64,
    /// The log's time at the newest beat.
    #[serde(default)]
    pub at: Micros,
    /// It does not know what time it is, and follows the log's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsure: bool,
    /// What its own clock said then.
    #[serde(default)]
    pub clock: Micros,
    /// Which start of its machine it runs on, and for how long that had run by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// See `boot`.
    #[serde(default, skip_serializing_if = "is_no_time")]
    pub up_us: u64,
    /// The machine that it runs on, by its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its process there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How long it may start things after it began to write a beat.
    pub lease_ms: u64,
    /// Where it is recorded that it has ended in order, and starts nothing any more. Believed only with that event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Position>,
    /// Every section that was entered before this epoch has drained.
    pub confirmed: Epoch,
    /// When that was written.
    pub confirmed_at: Micros,
    /// What shows that a node of this log has written all of this, with the key that the database does not have.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signet: String,
}

impl Node {
    /// The row with its signet.
    pub fn signed(mut self, key: &RootKey) -> Result<Self, serde_json::Error> {
        self.signet = String::new();
        self.signet = key.signet("node", &canonical_exact(&self)?);
        Ok(self)
    }

    /// Whether a node wrote it so.
    #[must_use]
    pub fn is_signed(&self, key: &RootKey) -> bool {
        self.clone().signed(key).is_ok_and(|own| own.signet == self.signet)
    }
}

/// How a key is used: the fold of the recorded intents that came with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// When its newest intent was recorded.
    pub last: Micros,
    /// How many were.
    pub count: u64,
}
