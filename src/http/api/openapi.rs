//! `GET /api/v1/openapi.json`: the API in OpenAPI 3.1, out of what declares it, so that it cannot be behind it.

use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use super::index::Index;
use super::{idempotency_key, readings, tool};
use crate::core::code::Code;
use crate::core::scope::Scope;
use crate::tools::declare::{Method, Route, plain_schema};
use crate::tools::{Catalogue, Tool};

/// Where it is, below `/api/v1`.
pub const PATH: &str = "/openapi.json";

/// The API of a catalogue.
#[must_use]
pub fn document(catalogue: &Catalogue) -> Value {
    let mut paths = Map::new();
    let mut add = |path: &str, method: &str, entry: Value| {
        paths.entry(format!("/api/v1{path}")).or_insert_with(|| json!({}))[method.to_lowercase()] = entry;
    };
    for reading in readings() {
        add(reading.path, "get", of_reading(&reading));
    }
    add("", "get", of_index());
    add(PATH, "get", of_itself());
    for tool in catalogue.iter() {
        add(&tool::BY_NAME.replace("{name}", tool.facts.name), "post", by_name(tool));
        for route in &tool.routes {
            add(route.path, route.method.as_str(), of_route(tool, route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Forelog", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "security": [{ "bearer": [] }],
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "x-scopes": scopes() } },
            "schemas": { "Error": error_schema(), "Running": running_schema() },
        },
    })
}

fn by_name(tool: &Tool) -> Value {
    let mut entry = called(tool, &tool.result, 200);
    entry["operationId"] = json!(tool.facts.name);
    entry["parameters"] = key(tool).into_iter().collect();
    entry["requestBody"] = body(&tool.input);
    entry
}

fn of_route(tool: &Tool, route: &Route) -> Value {
    let taken = tool::taken(tool, route);
    let is_required = |name: &str| tool.input["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let in_path = route.parts().map(|part| {
        let schema = &tool.input["properties"][route.argument(part)];
        parameter(part, "path", true, schema)
    });
    let mut entry = called(tool, &tool::answered(tool), route.success);
    let mut parameters: Vec<Value> = in_path.chain(key(tool)).collect();
    match route.method {
        Method::Get => parameters.extend(taken.iter().map(|(name, schema)| parameter(name, "query", is_required(name), schema))),
        Method::Post | Method::Patch => {
            let required: Vec<&String> = taken.keys().filter(|name| is_required(name)).collect();
            entry["requestBody"] = body(&json!({
                "type": "object", "properties": taken, "required": required, "additionalProperties": false,
            }));
        }
        Method::Delete => {}
    }
    entry["parameters"] = parameters.into();
    entry["x-tool"] = json!(tool.facts.name);
    entry
}

fn called(tool: &Tool, result: &Value, success: u16) -> Value {
    json!({
        "summary": tool.title,
        "description": tool.description,
        "x-scope": tool.facts.scope,
        "x-or-scopes": tool.facts.or,
        "responses": {
            success.to_string(): content("The result.", result),
            "202": accepted(tool, result),
            "default": failure(),
        },
    })
}

/// What is answered if the call goes on, or its result waits for another person.
fn accepted(tool: &Tool, result: &Value) -> Value {
    match tool.asks {
        None => content("It goes on.", &json!({ "$ref": "#/components/schemas/Running" })),
        Some((field, word)) => {
            let about = format!("It goes on; or its {field} is {word}, and it waits for another person.");
            content(&about, &json!({ "anyOf": [running_schema(), result] }))
        }
    }
}

fn of_reading(reading: &Endpoint) -> Value {
    let in_path = Route::get(reading.path);
    let in_path = in_path.parts().map(|part| parameter(part, "path", true, &json!({ "type": "string" })));
    let required = reading.query["required"].as_array().cloned().unwrap_or_default();
    let fields = reading.query["properties"].as_object().into_iter().flatten();
    let in_query = fields.map(|(name, schema)| parameter(name, "query", required.contains(&json!(name)), schema));
    json!({
        "summary": reading.about,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": { "200": { "description": reading.about, "content": reading.answers }, "default": failure() },
    })
}

fn of_index() -> Value {
    let about = "What this is, and where the rest is.";
    json!({
        "summary": about, "parameters": [], "security": [],
        "responses": { "200": content(about, &plain_schema::<Index>()) },
    })
}

fn of_itself() -> Value {
    let about = "This document.";
    json!({
        "summary": about, "parameters": [], "security": [],
        "responses": {
            "200": content(about, &json!({ "type": "object", "required": ["openapi", "info", "paths"] })),
            "304": { "description": "It is the one that `If-None-Match` names." },
        },
    })
}

fn body(schema: &Value) -> Value {
    let is_needed = schema["required"].as_array().is_some_and(|names| !names.is_empty());
    json!({ "required": is_needed, "content": { "application/json": { "schema": schema } } })
}

/// The header by which a call may be repeated, if its tool takes it.
fn key(tool: &Tool) -> Option<Value> {
    let schema = tool.input["properties"].get(idempotency_key::ARGUMENT)?;
    Some(parameter("Idempotency-Key", "header", false, schema))
}

/// A parameter; what is said of its schema is said of it.
fn parameter(name: &str, place: &str, required: bool, schema: &Value) -> Value {
    let mut schema = schema.clone();
    let about = schema.as_object_mut().and_then(|fields| fields.remove("description"));
    let mut parameter = json!({ "name": name, "in": place, "required": required, "schema": schema });
    if let Some(about) = about {
        parameter["description"] = about;
    }
    parameter
}

fn content(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn failure() -> Value {
    content("It was refused, or failed.", &json!({ "$ref": "#/components/schemas/Error" }))
}

fn scopes() -> Map<String, Value> {
    Scope::ALL.iter().map(|scope| (scope.as_str().to_owned(), json!(scope.about()))).collect()
}

fn error_schema() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let meanings: Map<String, Value> = Code::ALL.iter().map(|code| (code.as_str().to_owned(), json!(code.meaning()))).collect();
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message", "retryable", "details"],
            "properties": {
                "code": { "enum": codes, "x-enumDescriptions": meanings },
                "message": { "type": "string" },
                "hint": { "type": "string" },
                "retryable": { "type": "boolean", "description": "The call may be made again: as it was, or with what `details.add` names." },
                "retry_after_ms": { "type": "integer" },
                "call_id": { "type": "string" },
                "details": { "type": "object" },
            },
            "additionalProperties": false,
        } },
        "additionalProperties": false,
    })
}

fn running_schema() -> Value {
    json!({
        "type": "object",
        "required": ["operation_id", "status"],
        "properties": {
            "operation_id": {
                "type": "string",
                "description": "The call, which goes on; operation_wait and operation_get tell how it ends.",
            },
            "command_id": {
                "type": "string",
                "description": "The same id, if the call runs a command in a VM; command_get and command_logs read its output.",
            },
            "status": { "enum": ["queued", "running"], "description": "How the call stands." },
        },
        "additionalProperties": false,
    })
}
