//! `policy_reload`: puts the policy files of the node that is asked in force, or says why the old set stays.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::outcome::Answer;
use super::register::{Face, handler};
use super::shape::{Shape, any, maybe};
use super::{Execution, Tool, facts, register};
use crate::core::redact::Sensitivity::Public;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::state::PolicySet;
use crate::core::tool::ToolFacts;
use crate::log::acting::Acting;

static FACTS: ToolFacts = facts::puts_policies(facts::control("policy_reload", Some(Scope::StaffPolicy)));

/// Loads policies; implemented by `control`, which owns the engine.
#[async_trait]
pub trait PolicyLoader: Send + Sync {
    /// Validates this node's policy files, runs their cases and puts them in force as an event. Answers what is in force
    /// now and what was before, or why the old set stays. Nothing is recorded for a call that may not write any more.
    async fn reload(&self, acting: Option<Acting>) -> Result<Reloaded, Refusal>;

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
    /// The digest of its own files, or why they cannot be read.
    pub own: Result<String, String>,
}

pub(super) fn tools() -> Vec<Tool> {
    let output = Shape::new()
        .must("version", Public, any("integer", "Version of the set in force."))
        .must("sha256", Public, any("string", "Digest of its text."))
        .must("before", Public, maybe("object", "Version and digest of the set that was in force before."));
    let face = Face {
        title: "Reload policies",
        description: "Validates the policy files of the node that is asked, runs their cases and puts them in force on every node.",
    };
    vec![register::tool(&FACTS, face, Shape::new().keyed(), output, handler!(reload))]
}

async fn reload(execution: Execution) -> Answer {
    let Reloaded { set, before } = execution.ports.policies.reload(Some(execution.acting())).await?;
    let mut answer = shown(&set);
    answer["before"] = json!(before.as_ref().map(shown));
    Ok(answer)
}

fn shown(set: &PolicySet) -> Value {
    json!({ "version": set.version, "sha256": set.sha256 })
}
