//! `policy_reload`: puts the policy files of the node that is asked in force, or says why the old set stays.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use super::Execution;
use super::declare::{Declared, Nothing, Operation, Route, administration};
use crate::core::call::Outcome;
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::state::PolicySet;
use crate::log::call_write::CallWrite;

/// Loads policies; implemented by `control`, which owns the engine.
#[async_trait]
pub trait PolicyLoader: Send + Sync {
    /// Validates this node's policy files, runs their cases and puts them in force as an event. Answers what is in force
    /// now and what was before, or why the old set stays. Nothing is recorded for a call that may not write any more.
    async fn reload(&self, acting: Option<CallWrite>) -> Result<Reloaded, Refusal>;

    /// What this node serves, and what its own files are.
    async fn node(&self) -> NodePolicies;
}

/// A set that was put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// It.
    pub set: PolicySet,
    /// What was in force before.
    pub before: Option<PolicySet>,
}

/// The policies of one node, beside those in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePolicies {
    /// The version that it asks; none if it has none.
    pub version: Option<i64>,
    /// Why it does not serve the set in force.
    pub trouble: Option<String>,
    /// The digest of its own files, or why they could not be put in force.
    pub own: Result<String, String>,
}

/// The operations of this noun.
pub(super) static OPERATIONS: &[&dyn Declared] = &[&RELOAD];

static RELOAD: Operation<Nothing, Output> = administration("policy_reload")
    .scope(Scope::StaffPolicy)
    .puts_policies()
    .title("Reload policies")
    .about("Validates the policy files of the node that is asked, runs their cases and puts them in force on every node.")
    .rest(Route::post("/policies/reload"))
    .run(|execution, _| Box::pin(reload(execution)));

#[derive(Serialize, JsonSchema)]
struct Output {
    /// Version of the set in force.
    #[schemars(extend("x-class" = Public))]
    version: i64,
    /// Digest of its text.
    #[schemars(extend("x-class" = Public))]
    sha256: String,
    /// Version and digest of the set that was in force before.
    #[schemars(extend("x-class" = Public))]
    before: Option<Set>,
}

#[derive(Serialize, JsonSchema)]
struct Set {
    /// Its version.
    version: i64,
    /// Digest of its text.
    sha256: String,
}

async fn reload(execution: Execution) -> Result<Output, Outcome> {
    let Reloaded { set, before } = execution.ports.policies.reload(Some(execution.acting())).await?;
    let before = before.map(|set| Set { version: set.version, sha256: set.sha256 });
    Ok(Output { version: set.version, sha256: set.sha256, before })
}
