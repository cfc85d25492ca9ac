//! `policy_reload`: puts what the policy directory holds in force, or says why the old set stays.

use serde_json::json;

use super::outcome::Answer;
use super::register::{Face, handler};
use super::shape::{Shape, any};
use super::{Execution, Tool, facts, register};
use crate::core::redact::Sensitivity::Public;
use crate::core::scope::Scope;
use crate::core::tool::ToolFacts;

static FACTS: ToolFacts = facts::control("policy_reload", Some(Scope::StaffPolicy));

pub(super) fn tools() -> Vec<Tool> {
    let output = Shape::new().must("version", Public, any("integer", "Version of the set in force.")).must(
        "sha256",
        Public,
        any("string", "Digest of its text."),
    );
    let face =
        Face { title: "Reload policies", description: "Validates the policy directory, runs its cases and puts it in force." };
    vec![register::tool(&FACTS, face, Shape::new().keyed(), output, handler!(reload))]
}

async fn reload(execution: Execution) -> Answer {
    let (version, sha256) = execution.ports.policies.reload(Some(execution.acting())).await?;
    Ok(json!({ "version": version, "sha256": sha256 }))
}
