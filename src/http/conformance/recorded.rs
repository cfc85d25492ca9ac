//! The fixtures as entries of the catalogue, so that calling one goes through `submit` like any other call: it is written
//! down, checked and ended before its answer is made.

use std::sync::LazyLock;
use std::time::Duration;

use futures::FutureExt;
use serde_json::json;

use super::catalogue;
use crate::core::call::Outcome;
use crate::core::redact::Classes;
use crate::core::tool::{Class, Risk, Timing, ToolFacts};
use crate::tools::Tool;

static FACTS: LazyLock<Vec<ToolFacts>> = LazyLock::new(|| catalogue::names().map(facts).collect());

/// Every fixture tool, as something that can be submitted and does nothing.
#[must_use]
pub fn tools() -> Vec<Tool> {
    FACTS.iter().map(tool).collect()
}

fn tool(facts: &'static ToolFacts) -> Tool {
    Tool {
        facts,
        title: "Conformance fixture",
        description: "A fixture of the MCP conformance suite",
        // The suite sends what it likes; the fixture that makes the answer looks at it.
        input: json!({"type": "object"}),
        misfit: |_| None,
        output: json!({"type": "object"}),
        answers: Vec::new(),
        arguments: Classes::new(),
        results: Classes::new(),
        guard: |_, _| None,
        enables_exec: |_| false,
        asks_to_stop: |_, _, _| None,
        time_limit: Duration::from_mins(1),
        run: |_| async { Outcome::Succeeded(json!({}).into()) }.boxed(),
    }
}

fn facts(name: &'static str) -> ToolFacts {
    ToolFacts {
        name,
        version: 1,
        scope: None,
        or: &[],
        open: None,
        class: Class::Read,
        risk: Risk::R0,
        timing: Timing::Instant,
        idempotent: true,
        stops: false,
        administers: false,
        puts_policies: false,
        claims_vm: false,
        needs_exec: false,
    }
}
