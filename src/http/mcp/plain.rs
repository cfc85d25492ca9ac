//! A plain call: `tools/call` of 2026-07-28 with a name, arguments, and what every request says of itself. It is answered
//! here in JSON. rmcp would read it three more times, and open a service, two tasks and an event stream for it, which
//! costs more than recording it.
//!
//! INVARIANT: rmcp would have accepted it and given the same result; a test holds both against each other. Whatever is
//! not surely plain (progress, a trace, headers that do not agree, fields that we do not know) goes to rmcp.

use axum::Json;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use rmcp::model::{CallToolResponse, CallToolResult, ClientCapabilities, Implementation, InputRequiredResult};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::calling;
use super::message::{META_VERSION, MODERN, VERSION};
use crate::control::Request;
use crate::core::principal::Principal;
use crate::http::accept::Accepted;
use crate::http::caller::user_agent;
use crate::http::gateway::Gateway;

const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";

/// A message of which nothing is left to check.
pub struct Plain {
    id: Value,
    tool: String,
    args: Map<String, Value>,
    /// The client shows its user a link.
    takes_links: bool,
}

#[derive(Serialize)]
struct Answer {
    jsonrpc: &'static str,
    id: Value,
    result: CallResult,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CallResult {
    Complete(CallToolResult),
    InputRequired(InputRequiredResult),
}

/// The call, if `message` is a plain one; else the message as it was.
pub fn plain(gateway: &Gateway, headers: &HeaderMap, mut message: Value) -> Result<Plain, Value> {
    if !is_plain(gateway, headers, &message) {
        return Err(message);
    }
    let (id, params) = (message["id"].take(), &mut message["params"]);
    let (tool, args) = (params["name"].take(), params["arguments"].take());
    let tool = if let Value::String(tool) = tool { tool } else { String::new() };
    let args = if let Value::Object(args) = args { args } else { Map::new() };
    let can = ClientCapabilities::deserialize(&params["_meta"][META_CAPABILITIES]);
    let takes_links = can.is_ok_and(|can| calling::takes_links(&can));
    Ok(Plain { id, tool, args, takes_links })
}

fn is_plain(gateway: &Gateway, headers: &HeaderMap, message: &Value) -> bool {
    // The fixtures of the conformance suite stand before the handler.
    if cfg!(feature = "conformance") {
        return false;
    }
    let params = &message["params"];
    let Some(name) = params["name"].as_str() else { return false };
    message["method"] == "tools/call"
        && (message["id"].is_string() || message["id"].is_i64())
        && has_only(message, &["jsonrpc", "id", "method", "params"])
        && has_only(params, &["name", "arguments", "_meta"])
        && matches!(params["arguments"], Value::Object(_))
        && says_only_itself(&params["_meta"])
        && agree(headers, name)
        && gateway.control().catalogue.get(name).is_some_and(|tool| !tool.is_hidden())
}

fn has_only(object: &Value, known: &[&str]) -> bool {
    object.as_object().is_some_and(|fields| fields.keys().all(|key| known.contains(&key.as_str())))
}

/// What a request says of its protocol and its client, in the words that rmcp reads.
fn says_only_itself(meta: &Value) -> bool {
    let client = meta.get(META_CLIENT);
    meta[META_VERSION] == MODERN
        && has_only(meta, &[META_VERSION, META_CAPABILITIES, META_CLIENT])
        && meta.get(META_CAPABILITIES).is_some_and(|said| ClientCapabilities::deserialize(said).is_ok())
        && client.is_none_or(|said| Implementation::deserialize(said).is_ok())
}

/// The headers that 2026-07-28 wants are there once each and say what the body says, and there are no others of MCP's.
fn agree(headers: &HeaderMap, name: &str) -> bool {
    let only = |header: &str, value: &str| {
        let mut values = headers.get_all(header).iter();
        values.next().is_some_and(|first| first == value) && values.next().is_none()
    };
    let param = |name: &HeaderName| name.as_str().starts_with("mcp-param-");
    only(VERSION, MODERN)
        && only("mcp-method", "tools/call")
        && only("mcp-name", name)
        && Accepted::of(headers).json
        && !headers.contains_key("idempotency-key")
        && !headers.keys().any(param)
}

impl Plain {
    /// Makes the call and answers it. A caller that goes away drops this, which asks the call to stop.
    pub async fn call(self, gateway: &Gateway, who: Principal, parts: &Parts) -> Response {
        let held = parts.extensions.get().cloned().unwrap_or_default();
        let mut request = Request {
            protocol: Some(MODERN.to_owned()),
            user_agent: user_agent(&parts.headers),
            ..Request::new(who, self.tool, Value::Object(self.args))
        };
        if self.takes_links {
            calling::leave_on_hold(&mut request);
        }
        let span = calling::span(gateway, &request, None);
        let reply = calling::traced(gateway.submit(request, held), span).await;
        let result = match calling::answer(&reply, self.takes_links) {
            Ok(CallToolResponse::Complete(result)) => CallResult::Complete(result),
            Ok(CallToolResponse::InputRequired(question)) => CallResult::InputRequired(question),
            Ok(_) => CallResult::Complete(calling::result(&reply)),
            Err(fault) => {
                let document = super::message::error(&self.id, fault.code.0, &fault.message, fault.data.as_ref());
                return Json(document).into_response();
            }
        };
        Json(Answer { jsonrpc: "2.0", id: self.id, result }).into_response()
    }
}
