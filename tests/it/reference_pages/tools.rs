//! `tools.md`: every operation, with what it needs, takes and answers.

use forelog::core::tool::{Class, Risk};
use forelog::tools::{Tool, catalogue};
use serde_json::Value;

use super::{code, hold, link_to_tool, table};

const ABOUT: &str = "\
Every tool is `POST /api/v1/tools/NAME` over REST and `forelog call NAME` on the command line, with the same checks, the same record and the
same answer. Those marked *MCP* are offered to agents at `/mcp`; the others administer Forelog. A tool *works while stopped* if no switch covers it: it only
stops something, or shows what is stopped. Arguments in **bold** are required. A call that fails answers an [error](errors.md).";

#[test]
fn reference_tools_page_has_every_tool() {
    let catalogue = catalogue().expect("a catalogue");
    let row = |tool: &Tool| {
        let mcp = if tool.is_hidden() { "" } else { "MCP" };
        vec![
            link_to_tool(tool.facts.name).replace("tools.md", ""),
            tool.title.to_owned(),
            class(tool),
            scopes(tool),
            mcp.to_owned(),
        ]
    };
    let index = table(&["tool", "title", "class", "scope", ""], catalogue.iter().map(row));
    let sections: String = catalogue.iter().map(section).collect();
    hold("tools.md", "Tools", ABOUT, &format!("{index}{sections}"));
}

fn class(tool: &Tool) -> String {
    tool.facts.class.as_str().to_owned()
}

fn scopes(tool: &Tool) -> String {
    let all = tool.facts.scope.into_iter().chain(tool.facts.or.iter().copied());
    all.map(|scope| code(scope.as_str())).collect::<Vec<_>>().join(" or ")
}

/// What has to be said on purpose.
fn guard(tool: &Tool) -> Option<&'static str> {
    match tool.facts.risk {
        Risk::R0 | Risk::R1 | Risk::R2 => None,
        Risk::R3 => Some("interrupts service: `confirm`"),
        Risk::R3p if tool.input["properties"]["confirmation"].is_object() => Some("an exact phrase: `confirmation`"),
        Risk::R3p => Some("the present label"),
        Risk::R4 => Some("destroys data: `confirm`, `acknowledge_data_loss`, `expected_label`"),
    }
}

fn section(tool: &Tool) -> String {
    let needs = match tool.facts.open {
        Some(why) => format!("No scope: {why}"),
        None => format!("Needs {}.", scopes(tool)),
    };
    let class = match tool.facts.class {
        Class::Control => "Class `control`, not offered over MCP.".to_owned(),
        class => format!("Class `{}`, over MCP and REST.", class.as_str()),
    };
    let guard = guard(tool).map(|guard| format!("Guarded by {guard}.")).unwrap_or_default();
    let stopped = if tool.facts.stops { "Works while stopped." } else { "" };
    let exec = if tool.facts.needs_exec { "Command execution must be on for the VM." } else { "" };
    let routes: Vec<String> =
        tool.routes.iter().map(|route| code(format!("{} /api/v1{}", route.method.as_str(), route.path))).collect();
    let routes = if routes.is_empty() { String::new() } else { format!("Also {}.", routes.join(", ")) };
    let limit = format!("Ends after {} s at most.", tool.time_limit.as_secs());
    let facts = [needs, class, guard, stopped.to_owned(), exec.to_owned(), routes, limit];
    let facts = facts.into_iter().filter(|fact| !fact.is_empty()).collect::<Vec<_>>().join(" ");
    let (mut takes, mut answers) = (Vec::new(), Vec::new());
    rows(&tool.input, "", true, &mut takes);
    rows(&tool.result, "", false, &mut answers);
    let shown = |head: &str, rows: Vec<Vec<String>>| {
        if rows.is_empty() { String::new() } else { format!("\n{}", table(&[head, "type", "meaning"], rows)) }
    };
    let (takes, answers) = (shown("argument", takes), shown("answer", answers));
    format!("\n## {}\n\n{}\n\n{facts}\n{takes}{answers}", tool.facts.name, tool.description)
}

/// A row for each path of a schema.
fn rows(schema: &Value, above: &str, marks_required: bool, into: &mut Vec<Vec<String>>) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{above}{name}");
        let shown =
            if marks_required && required.contains(&name.as_str()) { format!("**{}**", code(&path)) } else { code(&path) };
        let about = inner["description"].as_str().unwrap_or_default();
        into.push(vec![shown, kind(inner), format!("{about}{}", bounds(inner)).trim().to_owned()]);
        rows(inner, &format!("{path}."), marks_required, into);
        rows(&inner["items"], &format!("{path}[]."), marks_required, into);
    }
}

fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words
            .iter()
            .map(|word| code(word.as_str().map_or_else(|| word.to_string(), str::to_owned)))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let name = |name: &str| match name {
        "array" if schema["items"]["type"].is_string() => format!("list of {}", kind(&schema["items"])),
        "array" => "list".into(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(one) => name(one),
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(name).collect::<Vec<_>>().join(" or "),
        _ => "any".into(),
    }
}

fn bounds(schema: &Value) -> String {
    let range = match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => format!(" From {least} to {most}."),
        _ => String::new(),
    };
    let length = schema["maxLength"].as_u64().map(|most| format!(" At most {most} characters.")).unwrap_or_default();
    let default = if schema["default"].is_null() { String::new() } else { format!(" Default {}.", code(&schema["default"])) };
    format!("{range}{length}{default}")
}
