//! What the fixtures are called and take, and the capabilities that a server with them declares.

use std::sync::LazyLock;

use rmcp::model::{ServerCapabilities, Tool};
use serde_json::{Value, json};

/// Tools without arguments, and what to say of them.
const PLAIN: &[(&str, &str)] = &[
    ("test_simple_text", "Answers with text"),
    ("test_image_content", "Answers with an image"),
    ("test_audio_content", "Answers with audio"),
    ("test_embedded_resource", "Answers with a resource"),
    ("test_multiple_content_types", "Answers with several kinds of content"),
    ("test_tool_with_logging", "Logs while it runs"),
    ("test_logging_tool", "Logs if the request asks for it"),
    ("test_error_handling", "Always fails"),
    ("test_tool_with_progress", "Reports progress"),
    ("test_reconnection", "Answers at once on a resumable stream"),
    ("test_missing_capability", "Needs a client that can sample"),
    ("test_streaming_elicitation", "Asks for a name"),
    ("test_trigger_tool_change", "Announces that the tools changed"),
    ("test_trigger_prompt_change", "Announces that the prompts changed"),
    ("test_elicitation_sep1034_defaults", "Elicits with defaults"),
    ("test_elicitation_sep1330_enums", "Elicits with enumerations"),
    ("test_input_required_result_elicitation", "Asks for a name"),
    ("test_input_required_result_sampling", "Asks for a sample"),
    ("test_input_required_result_list_roots", "Asks for the roots"),
    ("test_input_required_result_request_state", "Asks, and checks its state"),
    ("test_input_required_result_tampered_state", "Asks, and refuses a forged state"),
    ("test_input_required_result_multiple_inputs", "Asks three things at once"),
    ("test_input_required_result_multi_round", "Asks two things in turn"),
    ("test_input_required_result_capabilities", "Asks only what the client can answer"),
    ("failing_job", "A task whose tool fails"),
    ("protocol_error_job", "A task that breaks"),
    ("multi_input", "A task that asks two things at once"),
    ("test_tool_with_task", "Asks for a name, then becomes a task"),
];

static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let mut tools: Vec<_> = PLAIN.iter().map(|(name, description)| tool(name, description, &object(&json!({}), &[]))).collect();
    tools.extend(with_arguments());
    tools.into_iter().filter_map(|tool| serde_json::from_value(tool).ok()).collect()
});

/// The fixture tools, in the order of `tools/list`.
#[must_use]
pub fn tools() -> &'static [Tool] {
    &TOOLS
}

/// What the fixture tools are called.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|tool| tool.name.as_ref())
}

/// A fixture tool by name.
#[must_use]
pub fn tool_named(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// Everything that the fixtures use.
#[must_use]
pub fn capabilities() -> ServerCapabilities {
    let declared = json!({
        "completions": {},
        "logging": {},
        "prompts": {"listChanged": true},
        "resources": {"subscribe": true},
        "tools": {"listChanged": true},
        "extensions": {"io.modelcontextprotocol/tasks": {}}
    });
    serde_json::from_value(declared).unwrap_or_default()
}

fn with_arguments() -> [Value; 7] {
    let text = json!({"type": "string"});
    let header = json!({"value": {"type": "string", "x-mcp-header": "Value"}});
    let work = json!({"seconds": {"type": "integer", "minimum": 0}, "label": text});
    [
        tool("test_sampling", "Asks the client's model", &object(&json!({"prompt": text}), &["prompt"])),
        tool("test_elicitation", "Asks the user", &object(&json!({"message": text}), &["message"])),
        tool("test_custom_header", "Takes an argument that is mirrored in a header", &object(&header, &["value"])),
        tool("greet", "Says hello, never as a task", &object(&json!({"name": text}), &["name"])),
        tool("slow_compute", "Takes its time", &object(&work, &[])),
        tool("confirm_delete", "A task that asks before it goes on", &object(&json!({"filename": text}), &[])),
        tool("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", &schema_2020_12()),
    ]
}

fn tool(name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "description": description, "inputSchema": schema})
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The vocabulary that a server must pass on untouched.
fn schema_2020_12() -> Value {
    let text = json!({"type": "string"});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": text, "city": text}}},
        "properties": {
            "name": text,
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": text,
            "email": text
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false
    })
}
