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
    let takes_key = tool.input["properties"].get(super::keyed::ARGUMENT).is_some();
    let key = json!({ "name": "Idempotency-Key", "in": "header", "schema": { "type": "string", "maxLength": 64 } });
    let mut result = tool.output.clone();
    result["required"] = json!(tool.answers);
    json!({ "post": {
        "operationId": tool.facts.name,
        "summary": tool.title,
        "description": tool.description,
        "x-scope": tool.facts.scope,
        "x-or-scopes": tool.facts.or,
        "parameters": if takes_key { vec![key] } else { Vec::new() },
        "requestBody": { "content": { "application/json": { "schema": tool.input } } },
        "responses": {
            "200": content("The result.", &result),
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

/// What an endpoint takes in its query.
enum Takes {
    /// The filters of calls.
    Calls,
    /// These.
    Only(&'static [&'static str]),
}

const NOTHING: Takes = Takes::Only(&[]);
const ACCOUNT: Takes = Takes::Only(&["account"]);
const REASON: Takes = Takes::Only(&["reason"]);

/// The endpoints that are not tools by name: where, how, what for, what is answered if all is well, and what they take.
#[rustfmt::skip]
const FIXED: &[(&str, &str, &str, &str, Takes)] = &[
    ("/calls", "get", "The calls, newest first.", "200", Takes::Calls),
    ("/calls/histogram", "get", "How the calls stand over time.", "200", Takes::Calls),
    ("/calls/live", "get", "Calls as they are decided and end, as server-sent events.", "200", Takes::Calls),
    ("/calls/{id}", "get", "One call and its events.", "200", REASON),
    ("/calls/{id}/cancel", "post", "Cancels a call that waits or runs.", "200", NOTHING),
    ("/events", "get", "What happened outside of calls.", "200",
        Takes::Only(&["account", "type", "user", "subject", "reason", "limit", "cursor"])),
    ("/exports", "get", "The latest exports.", "200", NOTHING),
    ("/exports", "post", "Makes a file of calls.", "201", NOTHING),
    ("/exports/{id}/download", "get", "The file of an export.", "200", NOTHING),
    ("/accounts/{id}", "get", "An account, its VMs, people and switches, for staff.", "200", REASON),
    ("/searches", "get", "The searches that staff keep for each other.", "200", NOTHING),
    ("/searches", "post", "Keeps a search.", "201", NOTHING),
    ("/searches/{id}", "delete", "Forgets a search of one's own.", "200", NOTHING),
    ("/switches", "get", "The switches in force.", "200", NOTHING),
    ("/switches", "post", "Engages a switch.", "201", NOTHING),
    ("/switches/reach", "get", "What a target would stop, for staff.", "200", Takes::Only(&["target", "reason"])),
    ("/clock", "post", "Accepts this server's clock, for staff.", "200", NOTHING),
    ("/switches/drill", "post", "Tries the switches on a key made for it.", "200", NOTHING),
    ("/switches/{id}/release", "post", "Releases a switch.", "200", NOTHING),
    ("/keys", "get", "The keys.", "200", ACCOUNT),
    ("/keys", "post", "Makes a key.", "201", NOTHING),
    ("/keys/{id}", "get", "One key, without its secret.", "200", REASON),
    ("/keys/{id}", "delete", "Revokes a key.", "200", NOTHING),
    ("/keys/{id}/rotate", "post", "Replaces a key.", "201", NOTHING),
    ("/people", "get", "The people of an account.", "200", ACCOUNT),
    ("/people/{id}", "patch", "Gives a person another role; their sessions end.", "200", NOTHING),
    ("/people/{id}", "delete", "Removes a person; their sessions, keys and invitations end.", "200", NOTHING),
    ("/people/{id}/sessions", "get", "Where a person is signed in.", "200", NOTHING),
    ("/people/{id}/sessions", "delete", "Signs a person out everywhere.", "200", NOTHING),
    ("/people/{id}/sessions/{session}", "delete", "Ends one session of a person.", "200", NOTHING),
    ("/invitations", "get", "The invitations that nobody has taken yet.", "200", ACCOUNT),
    ("/invitations", "post", "Invites a person; the link is in this answer alone.", "201", NOTHING),
    ("/invitations/{id}", "delete", "Revokes an invitation.", "200", NOTHING),
    ("/policies", "get", "The policies in force, and whether this node's files are they, for staff.", "200", NOTHING),
    ("/policies/reload", "post", "Puts this node's policy files in force.", "200", NOTHING),
    ("/limits", "get", "The limits in force, and where this node was started with others, for staff.", "200", NOTHING),
    ("/limits", "patch", "Puts other limits in force; what is not named stays.", "200", NOTHING),
    ("/approvals", "get", "Calls that wait for a person.", "200", NOTHING),
];

fn fixed() -> Map<String, Value> {
    let mut paths = Map::new();
    for (path, method, summary, status, takes) in FIXED {
        let parameters: Vec<Value> = named_in(path).into_iter().chain(asked(takes)).collect();
        let done = content(summary, &json!({ "type": "object" }));
        let item = paths.entry(format!("/api/v1{path}")).or_insert_with(|| json!({}));
        item[*method] =
            json!({ "summary": summary, "parameters": parameters, "responses": { *status: done, "default": failure() } });
    }
    let id = json!(named_in("{id}"));
    paths.insert("/api/v1/approvals/{id}".to_owned(), json!({ "post": answers_hold(&id) }));
    paths
}

/// The parameters that are in a path.
fn named_in(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })).collect()
}

fn asked(takes: &Takes) -> Vec<Value> {
    let query = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string" } });
    match takes {
        Takes::Only(names) => names.iter().map(|name| query(name)).collect(),
        Takes::Calls => {
            let fields = Field::ALL.iter().map(|field| field.name()).filter(|name| *name != "call");
            fields.chain(["from", "to", "q", "reason", "limit", "cursor"]).map(query).collect()
        }
    }
}
