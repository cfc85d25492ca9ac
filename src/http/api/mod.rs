//! The REST API: one endpoint, one file. Whatever changes something is a call of a tool of the catalogue; what is
//! answered is the tool's own result document.

mod accept_clock;
mod call_tool;
mod cancel_call;
mod change_person;
mod count_calls;
mod create_export;
mod create_key;
mod decide_approval;
mod download_export;
mod drill_switches;
mod end_sessions;
mod engage_switch;
mod invite_person;
pub(in crate::http) mod keyed;
mod list_approvals;
mod list_calls;
pub(in crate::http) mod list_events;
mod list_exports;
mod list_invitations;
mod list_keys;
mod list_people;
mod list_sessions;
mod list_switches;
mod openapi;
mod release_switch;
mod reload_policies;
mod remove_person;
mod revoke_invitation;
mod revoke_key;
mod rotate_key;
mod searches;
mod set_limits;
mod show_account;
mod show_call;
mod show_key;
mod show_limits;
mod show_policies;
mod show_reach;
mod watch_calls;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::body::Given;
use super::caller::Caller;
use super::door::Incoming;
use super::problem::{Problem, no_such_method, no_such_path};
use super::{Http, still};
use crate::control::Reply;
use crate::core::code::Code;
use crate::core::dated::dated;

/// Names the call that an answer is about.
pub const CALL_ID: HeaderName = HeaderName::from_static("forelog-call-id");

/// Everything under `/api/v1`, with or without a slash at the end.
pub fn router(http: &Arc<Http>) -> Router<Arc<Http>> {
    let answering = endpoints().fallback(no_such_path).method_not_allowed_fallback(no_such_method).with_state(Arc::clone(http));
    let all = endpoints().fallback(move |request| without_slash(answering, request));
    all.layer(from_fn_with_state(Arc::clone(http), still::program))
}

/// Asks again without the slash at the end of the path.
async fn without_slash(answering: Router, mut request: Request) -> Response {
    let path_and_query = request.uri().path_and_query().map(|given| {
        let query = given.query().map(|query| format!("?{query}")).unwrap_or_default();
        given.path().strip_suffix('/').filter(|path| !path.is_empty()).map(|path| format!("{path}{query}"))
    });
    let Some(uri) = path_and_query.flatten().and_then(|text| text.parse().ok()) else {
        return no_such_path().await.into_response();
    };
    *request.uri_mut() = uri;
    answering.oneshot(request).await.unwrap_or_else(|never| match never {})
}

fn endpoints() -> Router<Arc<Http>> {
    Router::new()
        .route("/tools/{name}", post(call_tool::handle))
        .route("/calls", get(list_calls::handle))
        .route("/calls/histogram", get(count_calls::handle))
        .route("/calls/live", get(watch_calls::handle))
        .route("/calls/{id}", get(show_call::handle))
        .route("/calls/{id}/cancel", post(cancel_call::handle))
        .route("/events", get(list_events::handle))
        .route("/exports", post(create_export::handle).get(list_exports::handle))
        .route("/exports/{id}/download", get(download_export::handle))
        .route("/switches", post(engage_switch::handle).get(list_switches::handle))
        .route("/clock", post(accept_clock::handle))
        .route("/switches/drill", post(drill_switches::handle))
        .route("/switches/reach", get(show_reach::handle))
        .route("/switches/{id}/release", post(release_switch::handle))
        .route("/keys", post(create_key::handle).get(list_keys::handle))
        .route("/keys/{id}", get(show_key::handle).delete(revoke_key::handle))
        .route("/keys/{id}/rotate", post(rotate_key::handle))
        .route("/approvals", get(list_approvals::handle))
        .route("/approvals/{id}", post(decide_approval::handle))
        .route("/accounts/{id}", get(show_account::handle))
        .route("/searches", get(searches::list).post(searches::keep))
        .route("/searches/{id}", delete(searches::forget))
        .route("/people", get(list_people::handle))
        .route("/people/{id}", patch(change_person::handle).delete(remove_person::handle))
        .route("/people/{id}/sessions", get(list_sessions::handle).delete(end_sessions::all))
        .route("/people/{id}/sessions/{session}", delete(end_sessions::one))
        .route("/invitations", get(list_invitations::handle).post(invite_person::handle))
        .route("/invitations/{id}", delete(revoke_invitation::handle))
        .route("/policies", get(show_policies::handle))
        .route("/policies/reload", post(reload_policies::handle))
        .route("/limits", get(show_limits::handle).patch(set_limits::handle))
        .route("/openapi.json", get(openapi::handle))
}

/// Why the staff asks. Written down with the reading, and of no effect.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: Option<String>,
}

/// Which account a list is about; the caller's own if absent.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    account: Option<String>,
}

impl Whose {
    fn args(self) -> Value {
        self.account.map_or_else(|| json!({}), |account| json!({ "account": account }))
    }
}

impl Http {
    /// Calls a tool. A body that could not be read, or a key that cannot be taken, is the call's fault: the call is recorded,
    /// and refused with it.
    async fn call(&self, caller: Caller, tool: &str, given: Given) -> Result<Reply, Problem> {
        let Caller { principal, user_agent, key, fault: of_address } = caller;
        let Given { mut args, fault } = given;
        let is_misaddressed = of_address.is_some();
        let tool_of = self.door.control().catalogue.get(tool);
        let key_fault = || keyed::take_key(&mut args, key, tool_of).err();
        let fault = of_address.or(fault).or_else(|| key_fault().map(|refusal| Problem::at(StatusCode::BAD_REQUEST, refusal)));
        let rejected = fault.as_ref().map(|problem| problem.refusal().clone());
        let incoming = Incoming { tool: tool.to_owned(), args, rejected, user_agent, ..Incoming::default() };
        match (self.door.submit(principal, incoming).await, fault) {
            (Reply::Failed { call, refusal, .. }, Some(fault)) if refusal.code == fault.refusal().code => {
                Err(fault.saying(refusal).of_call(call))
            }
            // That an address cannot be read, or takes no query, tells nobody which tools there are.
            (Reply::Failed { call, refusal, .. }, Some(fault)) if is_misaddressed && refusal.code == Code::UnknownTool => {
                Err(fault.of_call(call))
            }
            (reply, _) => Ok(reply),
        }
    }

    /// Calls an administrative tool and answers with its document, times as people write them.
    async fn administer(&self, caller: Caller, tool: &str, given: impl Into<Given>, success: StatusCode) -> Response {
        match self.call(caller, tool, given.into()).await {
            Ok(Reply::Done { call, result }) => answer(success, paged(dated(result)), Some(call.as_str())),
            Ok(other) => answer_reply(other),
            Err(problem) => problem.into_response(),
        }
    }
}

/// A reply with the status that fits it.
fn answer_reply(reply: Reply) -> Response {
    if let Reply::Failed { call, refusal, .. } = reply {
        return Problem::from(refusal).of_call(call).into_response();
    }
    let status = StatusCode::from_u16(reply.http_status()).unwrap_or(StatusCode::OK);
    answer(status, reply.document(), reply.call().map(crate::core::id::CallId::as_str))
}

fn answer(status: StatusCode, document: Value, call: Option<&str>) -> Response {
    let mut response = (status, Json(document)).into_response();
    if let Some(call) = call.and_then(|call| HeaderValue::from_str(call).ok()) {
        response.headers_mut().insert(CALL_ID, call);
    }
    response
}

/// `args` with the id from the path.
fn named(given: impl Into<Given>, id: &str) -> Given {
    let mut given = given.into();
    if let Some(fields) = given.args.as_object_mut() {
        fields.insert("id".to_owned(), id.into());
    }
    given
}

/// A list as every list is answered; these have one page.
fn paged(mut document: Value) -> Value {
    if let Some(fields) = document.as_object_mut().filter(|fields| fields.contains_key("items")) {
        fields.entry("next_cursor").or_insert(Value::Null);
    }
    document
}
