//! What has to be said in HTTP before rmcp sees a message: a dead key is 401 and a missing scope 403, each with its
//! challenge. The call is recorded all the same (P2).

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::message::{INVALID_PARAMS, error, id_of};
use super::sessions::SESSION_ID;
use crate::control::Reply;
use crate::core::code::Code;
use crate::core::principal::Principal;
use crate::core::state::ControlState;
use crate::http::caller::user_agent;
use crate::http::door::{self, Door, is_dead};
use crate::http::problem::Problem;

/// Answers a message that goes no further.
pub async fn stop(door: &Door, who: &Principal, headers: &HeaderMap, message: &Value) -> Result<Option<Response>, Problem> {
    if message["method"] != "tools/call" || id_of(message).is_null() {
        door.check_alive(who).await?;
        return Ok(None);
    }
    let params = &message["params"];
    let readable = params["name"].is_string() && matches!(params["arguments"], Value::Null | Value::Object(_));
    let scope = params["name"].as_str().and_then(|tool| missing_scope(door, who, tool));
    let dead = is_dead(who, &door.state(), door.control().ports.clock.now());
    if readable && scope.is_none() && !dead {
        return Ok(None);
    }
    let reply = record(door, who, headers, params).await;
    let Reply::Failed { call, refusal, .. } = reply else {
        // The log knew better than this node's copy of it.
        return Ok(Some(
            Json(json!({ "jsonrpc": "2.0", "id": id_of(message), "result": super::calling::result(&reply) })).into_response(),
        ));
    };
    let status = refusal.code.status();
    let problem = || Problem::from(refusal.clone()).of_call(call.clone());
    match (refusal.code, scope) {
        (Code::ForbiddenScope, Some(scope)) => {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            Err(problem().challenged(challenge))
        }
        _ if readable || status == StatusCode::UNAUTHORIZED.as_u16() => Err(problem()),
        _ => {
            let text = "The parameters of tools/call are a name and an object of arguments.";
            let document = error(&id_of(message), INVALID_PARAMS, text, Some(&refusal.body(call.as_ref())));
            Ok(Some((StatusCode::BAD_REQUEST, Json(document)).into_response()))
        }
    }
}

/// The scope that a tool this caller may know of needs, and the key lacks.
fn missing_scope(door: &Door, who: &Principal, tool: &str) -> Option<&'static str> {
    let tool = door.control().catalogue.get(tool).filter(|tool| !tool.is_hidden())?;
    let state: &ControlState = &door.state();
    let held = state.credentials.get(&who.credential).map(|credential| &credential.created.scopes)?;
    tool.facts.scope.filter(|scope| !held.contains(scope)).map(crate::core::scope::Scope::as_str)
}

async fn record(door: &Door, who: &Principal, headers: &HeaderMap, params: &Value) -> Reply {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let args = if params["arguments"].is_null() { json!({}) } else { params["arguments"].clone() };
    let incoming = door::Incoming {
        tool: params["name"].as_str().unwrap_or_default().to_owned(),
        args,
        session: text(SESSION_ID.as_str()),
        protocol: text("mcp-protocol-version"),
        user_agent: user_agent(headers),
        ..door::Incoming::default()
    };
    door.submit(who.clone(), incoming).await
}
