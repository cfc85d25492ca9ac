//! `GET /api/v1/openapi.json`: the API in OpenAPI 3.1, built from the catalogue, so that it cannot be behind it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::core::search::Field;
use crate::http::Http;
use crate::tools::Tool;

pub async fn handle(State(http): State<Arc<Http>>) -> Json<Value> {
    let mut paths: Map<String, Value> = fixed();
    paths
        .extend(http.door.control().catalogue.iter().map(|tool| (format!("/api/v1/tools/{}", tool.facts.name), operation(tool))));
    Json(json!({
        "openapi": "3.1.0",
        "info": { "title": "Forelog", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "security": [{ "bearer": [] }],
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Error": error_schema(), "Running": running_schema() },
        },
    }))
}

fn operation(tool: &Tool) -> Value {
    json!({ "post": {
        "operationId": tool.facts.name,
        "summary": tool.title,
        "description": tool.description,
        "x-scope": tool.facts.scope,
        "parameters": [{ "name": "Idempotency-Key", "in": "header", "schema": { "type": "string" } }],
        "requestBody": { "content": { "application/json": { "schema": tool.input } } },
        "responses": {
            "200": content("The result.", &tool.output),
            "202": content("It goes on.", &json!({ "$ref": "#/components/schemas/Running" })),
            "default": failure(),
        },
    } })
}

fn content(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn failure() -> Value {
    content("It was refused, or failed.", &json!({ "$ref": "#/components/schemas/Error" }))
}

fn error_schema() -> Value {
    let codes: Vec<&str> = crate::core::code::Code::ALL.iter().map(|code| code.as_str()).collect();
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message", "retryable", "details"],
            "properties": {
                "code": { "enum": codes },
                "message": { "type": "string" },
                "hint": { "type": "string" },
                "retryable": { "type": "boolean" },
                "retry_after_ms": { "type": "integer" },
                "call_id": { "type": "string" },
                "details": { "type": "object" },
            },
        } },
    })
}

fn running_schema() -> Value {
    json!({
        "type": "object",
        "required": ["operation_id", "status"],
        "properties": { "operation_id": { "type": "string" }, "status": { "enum": ["queued", "running"] } },
    })
}

fn answers_hold(id: &Value) -> Value {
    let body = json!({
        "type": "object", "required": ["verdict"], "additionalProperties": false,
        "properties": { "verdict": { "enum": ["approve", "reject"] }, "reason": { "type": "string", "maxLength": 500 } },
    });
    json!({
        "summary": "Approves or rejects a call that waits for a person, once.",
        "parameters": id,
        "requestBody": { "required": true, "content": { "application/json": { "schema": body } } },
        "responses": {
            "200": content("approved, rejected, or held if a second person has to agree.", &json!({
                "type": "object", "required": ["id", "verdict", "status"],
                "properties": {
                    "id": { "type": "string" }, "verdict": { "enum": ["approve", "reject"] },
                    "status": { "enum": ["approved", "held", "rejected"] },
                },
            })),
            "default": failure(),
        },
    })
}

/// The endpoints that are not tools by name.
fn fixed() -> Map<String, Value> {
    let fields = Field::ALL.iter().map(|field| field.name()).filter(|name| *name != "call");
    let filters: Vec<Value> = fields
        .chain(["from", "to", "q", "reason", "limit", "cursor"])
        .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }))
        .collect();
    let query = |name: &&str| json!({ "name": name, "in": "query", "schema": { "type": "string" } });
    let events: Vec<Value> = ["account", "type", "user", "subject", "reason", "limit", "cursor"].iter().map(query).collect();
    let id = json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
    let says = |summary: &str, status: &str, parameters: &Value| {
        let done = content(summary, &json!({ "type": "object" }));
        json!({ "summary": summary, "parameters": parameters, "responses": { status: done, "default": failure() } })
    };
    let none = json!([]);
    [
        ("/api/v1/calls", json!({ "get": says("The calls, newest first.", "200", &json!(filters)) })),
        ("/api/v1/calls/histogram", json!({ "get": says("How the calls stand over time.", "200", &json!(filters)) })),
        (
            "/api/v1/calls/live",
            json!({ "get": says("Calls as they are decided and end, as server-sent events.", "200", &json!(filters)) }),
        ),
        ("/api/v1/events", json!({ "get": says("What happened outside of calls.", "200", &json!(events)) })),
        ("/api/v1/calls/{id}", json!({ "get": says("One call and its events.", "200", &id) })),
        ("/api/v1/calls/{id}/cancel", json!({ "post": says("Cancels a call that waits or runs.", "200", &id) })),
        (
            "/api/v1/switches",
            json!({
                "get": says("The switches in force.", "200", &none),
                "post": says("Engages a switch.", "201", &none),
            }),
        ),
        ("/api/v1/switches/drill", json!({ "post": says("Tries the switches on a key made for it.", "200", &none) })),
        ("/api/v1/switches/{id}/release", json!({ "post": says("Releases a switch.", "200", &id) })),
        ("/api/v1/keys", json!({ "get": says("The keys.", "200", &none), "post": says("Makes a key.", "201", &none) })),
        ("/api/v1/keys/{id}", json!({ "delete": says("Revokes a key.", "200", &id) })),
        ("/api/v1/keys/{id}/rotate", json!({ "post": says("Replaces a key.", "201", &id) })),
        ("/api/v1/approvals", json!({ "get": says("Calls that wait for a person.", "200", &none) })),
        ("/api/v1/approvals/{id}", json!({ "post": answers_hold(&id) })),
    ]
    .into_iter()
    .map(|(path, item)| (path.to_owned(), item))
    .collect()
}
