//! MCP over a real socket, in all five versions, and the ways in which others' servers were broken.

mod answers;
mod gate;
mod sessions;
mod versions;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{ACCEPT, Answer, Key, TestApp, send};

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

const MODERN: &str = "2026-07-28";

/// A session of a version before 2026-07-28.
struct Session<'a> {
    app: &'a TestApp,
    key: &'a Key,
    id: String,
    version: &'static str,
}

fn initialize(version: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
    } })
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the parameters in place")]
fn request(id: i64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

impl<'a> Session<'a> {
    async fn begin(app: &'a TestApp, key: &'a Key, version: &'static str) -> Self {
        let answer = send(app.rpc(key, &initialize(version))).await;
        assert_eq!((answer.status, &answer.rpc()["result"]["protocolVersion"]), (StatusCode::OK, &json!(version)), "{answer:?}");
        let session = Self { app, key, id: answer.header("mcp-session-id").to_owned(), version };
        let begun = send(session.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))).await;
        assert_eq!(begun.status, StatusCode::ACCEPTED);
        session
    }

    fn post(&self, message: &Value) -> RequestBuilder {
        self.with_headers(self.app.rpc(self.key, message))
    }

    fn with_headers(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("mcp-session-id", &self.id);
        // The header came with 2025-06-18.
        if self.version < "2025-06-18" { request } else { request.header("mcp-protocol-version", self.version) }
    }

    async fn ask(&self, id: i64, method: &str, params: Value) -> Answer {
        send(self.post(&request(id, method, params))).await
    }
}

/// A request of 2026-07-28, which has no sessions.
fn modern(app: &TestApp, key: &Key, path: &str, message: &Value) -> RequestBuilder {
    let mut message = message.clone();
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    let name = message["params"]["name"].as_str().map(str::to_owned);
    let method = message["method"].as_str().expect("a method").to_owned();
    let request = app.ask(key, Method::POST, path).header("accept", ACCEPT).json(&message);
    let request = request.header("mcp-protocol-version", MODERN).header("mcp-method", method);
    name.into_iter().fold(request, |request, name| request.header("mcp-name", name))
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the arguments in place")]
fn call(id: i64, tool: &str, args: Value) -> Value {
    request(id, "tools/call", json!({ "name": tool, "arguments": args }))
}

fn names(list: &Value) -> Vec<String> {
    let tools = list["result"]["tools"].as_array().unwrap_or_else(|| panic!("no tools: {list}"));
    tools.iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect()
}
