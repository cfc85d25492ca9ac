//! The fixtures as entries of the catalogue, so that calling one goes through `submit` like any other call: it is written
//! down, checked and ended before its answer is made.

use std::sync::LazyLock;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::catalogue;
use crate::core::call::Outcome;
use crate::core::redact::Classes;
use crate::core::refusal::Refusal;
use crate::core::resource::Resource;
use crate::core::tool::ToolSpec;
use crate::tools::{Arguments, Execution, Handler, Tool};

static FACTS: LazyLock<Vec<ToolSpec>> = LazyLock::new(|| catalogue::names().map(ToolSpec::reading).collect());

/// Every fixture tool, as something that can be submitted and does nothing.
#[must_use]
pub fn tools() -> Vec<Tool> {
    FACTS.iter().map(tool).collect()
}

fn tool(facts: &'static ToolSpec) -> Tool {
    Tool {
        facts,
        title: "Conformance fixture",
        description: "A fixture of the MCP conformance suite",
        // The suite sends what it likes; the fixture that makes the answer looks at it.
        input: json!({"type": "object"}),
        output: json!({"type": "object"}),
        result: json!({"type": "object"}),
        arguments: Classes::new(),
        results: Classes::new(),
        routes: Vec::new(),
        asks: None,
        time_limit: Duration::from_mins(1),
        handler: Box::new(Fixture),
    }
}

/// Takes anything, and does nothing.
struct Fixture;

impl Handler for Fixture {
    fn read(&self, args: &Value) -> Result<Arguments, String> {
        Ok(Arguments::any(args))
    }

    fn guard(&self, _: &Arguments, _: &[Resource]) -> Option<Refusal> {
        None
    }

    fn run(&self, _: Execution) -> BoxFuture<'static, Outcome> {
        async { Outcome::Succeeded(json!({}).into()) }.boxed()
    }
}
