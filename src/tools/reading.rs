//! The port to the views: reading back what happened. Implemented by `views`, used by tools and protocols.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::core::call::Status;
use crate::core::event::EventKind;
use crate::core::id::{AccountId, CallId, Position};
use crate::core::noun::Noun;
use crate::core::refusal::Refusal;
use crate::core::resource::{NOUNS, ResourceId};
use crate::core::search::Search;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::core::visibility::Visibility;

/// A call as the views know it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct CallRecord {
    /// Its id.
    pub call_id: CallId,
    /// Whose.
    pub account: AccountId,
    /// The key it came with.
    pub credential: String,
    /// What it is about; written by the search fields of the nouns, one of each.
    #[serde(flatten, serialize_with = "by_field")]
    #[schemars(with = "ByField")]
    pub resources: Vec<ResourceId>,
    /// The tool.
    pub tool: String,
    /// How it came in.
    pub via: String,
    /// How it stands.
    pub status: Status,
    /// Why it did not succeed.
    pub code: Option<String>,
    /// When it was asked for.
    pub at: Micros,
    /// When it ended.
    pub ended_at: Option<Micros>,
    /// MCP session digest.
    pub session: Option<String>,
    /// Address it came from.
    pub ip: Option<String>,
    /// Public arguments as text.
    pub text: String,
    /// The person behind the key.
    pub user: String,
    /// The policy that refused it.
    pub policy: Option<String>,
    /// The switch that stopped it.
    pub switch: Option<String>,
    /// Where the intent is written.
    pub intent: Position,
    /// Where the terminal event is written.
    pub end: Option<Position>,
}

impl CallRecord {
    /// The first of a noun that it is about.
    #[must_use]
    pub fn about(&self, noun: &Noun) -> Option<&ResourceId> {
        self.resources.iter().find(|id| id.noun() == noun)
    }
}

/// A public argument of a call by its name, in the text of all of them.
#[must_use]
pub fn public_argument<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// What [`by_field`] writes.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "it describes what is written")]
struct ByField {
    /// The VM it is about.
    vm: Option<String>,
}

fn by_field<S: serde::Serializer>(resources: &[ResourceId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(NOUNS.iter().map(|noun| (noun.field, resources.iter().find(|id| id.noun() == *noun))))
}

/// Everything that is known of a call: its own fields first, then what is known besides.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct CallTimeline {
    /// The call as it is now.
    #[serde(flatten)]
    pub call: CallRecord,
    /// Its arguments without secrets, those of its tool; null if their key was erased.
    #[schemars(with = "Value")]
    pub arguments: Option<Value>,
    /// Its recorded result, that of its tool.
    #[schemars(with = "Value")]
    pub result: Option<Value>,
    /// How long its steps took, in microseconds.
    pub durations: Durations,
    /// Every event of it, in order.
    pub events: Vec<Moment>,
}

/// How long the steps of a call took; none if a step was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Durations {
    /// From the intent to the decision.
    pub decided: Option<i64>,
    /// From the decision to the start, for a queued call.
    pub queued: Option<i64>,
    /// From the start to the end.
    pub ran: Option<i64>,
    /// From the intent to the end.
    pub total: Option<i64>,
}

/// One event of a call.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Moment {
    /// Where it is written.
    pub position: Position,
    /// When.
    pub at: Micros,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// The leaf as it was hashed; null if it names whom the reader may not know.
    pub leaf: Value,
    /// SHA-256 of the leaf's bytes, hex.
    pub sha256: String,
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ActivityQuery {
    /// What the reader may see; nothing, unless it is said.
    pub visibility: Visibility,
    /// Which of them are looked for.
    pub search: Search,
    /// Words are looked for in commands too: for who may read these, so for staff who have said why.
    pub commands: bool,
    /// At most so many, 1 … 200.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// The position that a first page shows; the newest if absent.
    pub as_of: Option<Position>,
}

impl ActivityQuery {
    /// Most calls, or events, on a page.
    pub const LARGEST: u32 = 200;
}

/// A page of calls, newest first.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct ActivityPage {
    /// The calls as they were at `as_of`.
    pub items: Vec<CallRecord>,
    /// Give it back to go on.
    pub next_cursor: Option<String>,
    /// Position the page shows.
    pub as_of: Position,
}

/// A call as it stood when it was decided, or when it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where that is written.
    pub position: Position,
    /// The call as it stood then.
    pub call: CallRecord,
}

/// What has become of calls, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// The changes.
    pub items: Vec<Change>,
    /// Everything up to here has been looked at.
    pub position: Position,
    /// There is more to look at already.
    pub is_behind: bool,
}

/// Calls over time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Histogram {
    /// Equal parts of the time, oldest first.
    pub buckets: Vec<Bucket>,
    /// How many calls they hold.
    pub counted: u64,
    /// There are more and older ones, which are not counted.
    pub capped: bool,
    /// Position it shows.
    pub as_of: Position,
}

/// One part of the time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Bucket {
    /// Its beginning.
    pub at: Micros,
    /// How many calls of it stand how.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Which events outside of calls to list.
#[derive(Clone, Debug, Default)]
pub struct AdministrationQuery {
    /// What the reader may see; nothing, unless it is said.
    pub visibility: Visibility,
    /// Keys, VMs and providers that the reader may see, by the names that events have for them.
    pub concerns: Vec<String>,
    /// Control state, which says whose something is; without it only the staff are told what was said of it.
    pub state: Arc<ControlState>,
    /// Only what affects this account.
    pub about: Option<String>,
    /// Only this type, such as `switch_engaged`.
    pub kind: Option<String>,
    /// Only what this person did.
    pub user: Option<String>,
    /// Only what is about this switch, key, VM or node.
    pub subject: Option<String>,
    /// Only what happened at or after this.
    pub from: Option<Micros>,
    /// Only what happened before this.
    pub to: Option<Micros>,
    /// Only what came before this position.
    pub before: Option<Position>,
    /// Staff's reads of the log are shown up to here only.
    pub reads_until: Option<Micros>,
    /// At most so many, 1 … 200.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl AdministrationQuery {
    /// The types of events outside of calls.
    pub const TYPES: [&str; 37] = [
        "switch_engaged",
        "release_requested",
        "release_ramped",
        "switch_released",
        "switch_expired",
        "alarm_acknowledged",
        "drill_completed",
        "log_read",
        "signed_in",
        "sign_in_refused",
        "signed_out",
        "password_set",
        "identity_linked",
        "identity_unlinked",
        "role_changed",
        "role_withdrawn",
        "vouched_for",
        "person_invited",
        "invitation_revoked",
        "user_created",
        "user_removed",
        "account_created",
        "account_changed",
        "credential_created",
        "credential_revoked",
        "credential_adopted",
        "vm_imported",
        "vm_exec_set",
        "claim_cleared",
        "policy_loaded",
        "policy_rejected",
        "limits_set",
        "node_started",
        "node_stopped",
        "clock_accepted",
        "state_mended",
        "refusals_counted",
    ];
}

/// One event outside of calls.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct AdministrationRecord {
    /// Where it is written.
    pub position: Position,
    /// When.
    pub at: Micros,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// The account that it affects.
    pub account: Option<String>,
    /// Who did it. A customer is told its own people; of the staff only that it was the staff; nobody of
    /// who read its log.
    pub user: Option<String>,
    /// The switch, key, VM or node it is about; or what was read.
    pub subject: Option<String>,
    /// What was said: staff read all of it, an account the message that is meant for it.
    pub note: Value,
    /// The event itself, for whoever words it here; it is no part of an answer.
    #[serde(skip)]
    pub event: EventKind,
}

/// A page of them, newest first.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct AdministrationPage {
    /// The events.
    pub items: Vec<AdministrationRecord>,
    /// Give it back to go on.
    pub next_cursor: Option<String>,
    /// Position the page shows.
    pub as_of: Position,
}

/// The views' side of reading calls back. Each method waits, bounded, until the views have reached the log's head.
#[async_trait]
pub trait Activity: Send + Sync {
    /// The newest event that it shows.
    async fn position(&self) -> Result<Position, Refusal>;
    /// The newest event that it was seen to show, where it cannot be asked.
    fn seen(&self) -> Position {
        Position(0)
    }
    /// A page of calls.
    async fn list(&self, query: ActivityQuery) -> Result<ActivityPage, Refusal>;
    /// How many calls stand how over time, in so many parts of it; `limit` and `cursor` of the query are not used.
    async fn histogram(&self, query: ActivityQuery, buckets: u32) -> Result<Histogram, Refusal>;
    /// What became of the calls that the query finds, after a position; `limit` and `cursor` of the query are not used.
    async fn changes(&self, query: ActivityQuery, after: Position) -> Result<Changes, Refusal>;
    /// A page of what happened outside of calls.
    async fn administration(&self, query: AdministrationQuery) -> Result<AdministrationPage, Refusal>;
    /// One call, if it may be seen.
    async fn call(&self, visibility: &Visibility, call: &CallId) -> Result<Option<CallRecord>, Refusal>;
    /// Those of these calls that are shown and may be seen.
    async fn calls(&self, visibility: &Visibility, calls: &[CallId]) -> Result<Vec<CallRecord>, Refusal>;
    /// Everything that is known of one call, if it may be seen.
    async fn timeline(&self, visibility: &Visibility, call: &CallId) -> Result<Option<CallTimeline>, Refusal>;
}
