//! The catalogue as MCP shows it: which tools a caller sees, and what is said of each.
//!
//! INVARIANT: a list costs every conversation its length, so it has what a model needs to call: what arguments mean, and the
//! names of what is answered. Whatever fits a tool's own schemas fits the listed ones, which only say less (ADR 0112).

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::model::{JsonObject, ToolAnnotations};
use serde_json::{Value, json};

use crate::core::principal::{Principal, Side};
use crate::core::resource::NOUNS;
use crate::core::state::ControlState;
use crate::core::tool::{Class, Risk};
use crate::tools::{Catalogue, Tool};

/// Every tool that MCP may show, by name, as it is shown.
pub type Listing = BTreeMap<&'static str, rmcp::model::Tool>;

/// The listing of a catalogue.
pub fn listing(catalogue: &Catalogue) -> Listing {
    catalogue.iter().filter(|tool| !tool.is_hidden()).map(|tool| (tool.facts.name, to_mcp(tool))).collect()
}

fn to_mcp(tool: &Tool) -> rmcp::model::Tool {
    let facts = tool.facts;
    let destroys = matches!(facts.class, Class::Destroy | Class::Exec) || matches!(facts.risk, Risk::R3 | Risk::R3p | Risk::R4);
    let annotations = ToolAnnotations::from_raw(
        // The tool has it.
        None,
        Some(tool.reads()),
        Some(destroys && !tool.reads()),
        Some(facts.idempotent),
        // A command may reach anything; everything else stays within the provider.
        Some(facts.class == Class::Exec),
    );
    rmcp::model::Tool::new(facts.name, tool.description, listed_arguments(&tool.input))
        .with_title(tool.title)
        .with_raw_output_schema(object(&tool.output))
        .with_annotations(annotations)
}

/// What bounds an argument from below, or bounds a text. It is checked when the tool is called, and a refusal names it.
const BOUNDS: [&str; 4] = ["minLength", "maxLength", "pattern", "minimum"];

/// The arguments without what a model has no use for.
fn listed_arguments(schema: &Value) -> Arc<JsonObject> {
    let mut listed = schema.as_object().cloned().unwrap_or_default();
    // What is unknown is refused, by name of what there is.
    listed.retain(|name, value| name != "additionalProperties" && *value != json!([]));
    let fields = listed.get_mut("properties").and_then(Value::as_object_mut);
    for field in fields.into_iter().flat_map(|fields| fields.values_mut()).filter_map(Value::as_object_mut) {
        field.retain(|name, _| !BOUNDS.contains(&name.as_str()));
        if let Some(items) = field.get_mut("items").and_then(Value::as_object_mut) {
            items.retain(|name, _| !BOUNDS.contains(&name.as_str()));
        }
    }
    Arc::new(listed)
}

fn object(schema: &Value) -> Arc<JsonObject> {
    Arc::new(schema.as_object().cloned().unwrap_or_default())
}

/// Whether a caller is shown a tool. Only a courtesy: the decision looks at all of it again.
pub fn is_listed(tool: &Tool, who: &Principal, state: &ControlState) -> bool {
    let Some(credential) = state.credentials.get(&who.credential) else { return false };
    let key = &credential.created;
    let scoped = tool.facts.scope.is_none_or(|scope| key.scopes.contains(&scope));
    // Stopping is never switched off, so it is shown wherever it works.
    let reads = tool.reads() || tool.facts.stops || !(who.read_only || key.read_only);
    let required = tool.input["required"].as_array();
    let names_one = |name: &Value| NOUNS.iter().any(|noun| name == noun.argument);
    let needs_one = required.is_some_and(|names| names.iter().any(names_one));
    let has_one = key.vms.as_ref().is_none_or(|vms| !vms.is_empty());
    who.side == Side::Customer && !tool.is_hidden() && scoped && reads && (has_one || !needs_one)
}
