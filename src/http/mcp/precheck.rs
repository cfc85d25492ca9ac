//! What has to be said before rmcp sees a message: a dead key is 401, with its challenge, and what is no call of ours has its own
//! error. The call is recorded all the same (P2).
//!
//! A scope that is missing is not said here but as the result of the call: to a client a 403 with `insufficient_scope` means that
//! an authorization server would give it, and there is none.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::message::{INVALID_PARAMS, INVALID_REQUEST, error, id_of};
use super::partial_message::is_call;
use super::rejected::{self, about, is_unwritten};
use crate::control::Reply;
use crate::core::principal::Principal;
use crate::http::gateway::{Gateway, is_dead};
use crate::http::problem::Problem;

/// Answers a message that goes no further.
pub async fn stop(gateway: &Gateway, who: &Principal, headers: &HeaderMap, message: &Value) -> Result<Option<Response>, Problem> {
    if !is_call(message) {
        gateway.check_alive(who).await?;
        return Ok(None);
    }
    let fault = fault(message);
    if fault.is_none() && !is_dead(who, &gateway.state(), gateway.control().ports.clock.now()) {
        return Ok(None);
    }
    let rejection = fault.map(|(_, text)| rejected::refusal(text));
    let reply = rejected::note(gateway, who, headers, &message["params"], rejection).await;
    let Reply::Failed { call, refusal, .. } = reply else {
        // The log knew better than this node's copy of it.
        return Ok(Some(
            Json(json!({ "jsonrpc": "2.0", "id": id_of(message), "result": super::calling::result(&reply) })).into_response(),
        ));
    };
    let is_worse = refusal.code.status() == StatusCode::UNAUTHORIZED.as_u16() || is_unwritten(refusal.code);
    let Some((code, text)) = fault.filter(|_| !is_worse) else { return Err(Problem::from(refusal).of_call(call)) };
    let document = error(&id_of(message), code, text, Some(&refusal.body(call.as_ref())));
    Ok(Some(about((StatusCode::BAD_REQUEST, Json(document)).into_response(), call.as_ref())))
}

/// What makes a `tools/call` none, if anything.
fn fault(message: &Value) -> Option<(i32, &'static str)> {
    let params = &message["params"];
    if id_of(message).is_null() {
        return Some((INVALID_REQUEST, "A call has an id: it is answered."));
    }
    let readable = params["name"].is_string() && matches!(params["arguments"], Value::Null | Value::Object(_));
    (!readable).then_some((INVALID_PARAMS, "The parameters of tools/call are a name and an object of arguments."))
}
