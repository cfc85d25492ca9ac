//! `limits_set`: puts other limits in force, on every node from the next decision on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Execution;
use super::declare::{Declared, Operation, Route, administration};
use super::instant::Instant;
use super::record::change;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::limits::{SetLimits, Wanted};
use crate::core::limit::Limit;
use crate::core::quota::{Quota, Quotas};
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::terms::{APPROVAL_MS, Limits, YEAR};

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&SET];

static SET: Operation<Args, Output> = administration("limits_set")
    .scope(Scope::StaffPolicy)
    .title("Set limits")
    .about("Puts other limits in force, for every node and from the next decision on. What is not named stays as it is.")
    .rest(Route::patch("/limits"))
    .run(|execution, args| Box::pin(set(execution, args)));

/// What is to change; what is absent stays.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
struct Args {
    /// Sliding windows; one that is not named stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-class" = Public))]
    limits: Option<Windows>,
    /// How much there may be; what is not named stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-class" = Public))]
    quotas: Option<Counts>,
    /// How long a held call waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-class" = Public), range(min = *APPROVAL_MS.start(), max = *APPROVAL_MS.end()))]
    approval_ms: Option<u64>,
    /// How long who was invited does not count beside who invited them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-class" = Public), range(min = 0, max = YEAR))]
    newcomer_ms: Option<u64>,
    /// When an account is told that staff read its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-class" = Public), range(min = 0, max = YEAR))]
    staff_reads_shown_after_ms: Option<u64>,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Windows {
    /// A sliding window.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<Limit>,
    /// A sliding window.
    #[serde(skip_serializing_if = "Option::is_none")]
    exec: Option<Limit>,
    /// A sliding window.
    #[serde(skip_serializing_if = "Option::is_none")]
    write: Option<Limit>,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Counts {
    /// How many there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    people: Option<u32>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys_a_day: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    switches: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    staff_switches: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    streams: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_calls: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    exports: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    searches: Option<Quota>,
    /// A quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    invitations: Option<Quota>,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// Version of the limits in force.
    #[schemars(extend("x-class" = Public))]
    version: i64,
    /// Version of those that were in force before.
    #[schemars(extend("x-class" = Public))]
    before: Option<i64>,
    /// The windows in force.
    #[schemars(extend("x-class" = Public))]
    limits: Limits,
    /// The quotas in force.
    #[schemars(extend("x-class" = Public))]
    quotas: Quotas,
    /// How long a held call waits for a person.
    #[schemars(extend("x-class" = Public))]
    approval_ms: u64,
    /// How long who was invited does not count beside who invited them.
    #[schemars(extend("x-class" = Public))]
    newcomer_ms: u64,
    /// From when newcomer_ms counts, while a longer one still does.
    #[schemars(extend("x-class" = Public))]
    newcomer_counts_from: Option<Instant>,
    /// When an account is told that staff read its log.
    #[schemars(extend("x-class" = Public))]
    staff_reads_shown_after_ms: u64,
}

async fn set(execution: Execution, args: Args) -> Result<Output, Outcome> {
    let who = &execution.principal;
    let (wanted, by) = (Wanted::Numbers(json!(args)), Some((who.user.clone(), who.credential.clone())));
    let command = SetLimits { wanted, configured: execution.ports.configured, by, event: None };
    let changed = change(&execution, None, command).await?;
    let (before, now) = (changed.answer, changed.state.terms.clone());
    let now = now.ok_or_else(|| Refusal::new(Code::InternalError, "The limits were set and cannot be read back."))?;
    let from = now.newcomer_counts_from(changed.now);
    let terms = now.terms;
    Ok(Output {
        version: now.version,
        before: before.map(|before| before.version),
        limits: terms.limits,
        quotas: terms.quotas,
        approval_ms: terms.approval_ms,
        newcomer_ms: terms.newcomer_ms,
        newcomer_counts_from: from.map(Instant),
        staff_reads_shown_after_ms: terms.staff_reads_shown_after_ms,
    })
}
