//! Calls that are rejected before any tool is reached: without a session, with headers that do not fit, with parameters or an
//! id that are none, in a batch that is refused, in a body that cannot be read.
//!
//! INVARIANT: whoever is authenticated and asks for a call is on record before he is answered, whatever else is wrong with the
//! request (P2). Of what he sent the record has digest, size and fault. A request asks for a call if its body says `tools/call`,
//! or if it has no body that can be read and its `Mcp-Method` header says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::Exchange;
use super::message::RejectedBody;
use super::partial_message::{self, BATCH, CALL, PartialMessage, is_call};
use super::sessions::SESSION_ID;
use crate::control::{Reply, Request};
use crate::core::code::Code;
use crate::core::document;
use crate::core::id::CallId;
use crate::core::lineage::{alive, is_revoked};
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::http::api::CALL_ID;
use crate::http::body::{self, text_of};
use crate::http::body_budget::BufferedBody;
use crate::http::body_budget::Reservation;
use crate::http::caller::user_agent;
use crate::http::gateway::Gateway;
use crate::http::problem::Problem;

/// Whether rmcp has handed a call on; the handler says so.
#[derive(Clone, Default)]
pub struct Reached(Arc<AtomicBool>);

impl Reached {
    /// It has.
    pub fn mark(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn is_marked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Whether nothing could be recorded.
pub fn is_unwritten(code: Code) -> bool {
    matches!(code, Code::AuditUnavailable | Code::Overloaded)
}

/// Writes a call down that is rejected with `rejection`, and says how it ended: as it was rejected, or because its key is dead,
/// or because nothing can be written.
pub async fn note(gateway: &Gateway, who: &Principal, headers: &HeaderMap, params: &Value, rejection: Option<Refusal>) -> Reply {
    note_with(gateway, who, headers, Said { name: &params["name"], args: &params["arguments"], others: 0 }, rejection).await
}

/// What is said of a call.
#[derive(Clone, Copy)]
struct Said<'a> {
    name: &'a Value,
    args: &'a Value,
    /// How many others are rejected with it that are only counted.
    others: u32,
}

/// The same of one call, whose name and arguments were taken out of the message.
async fn note_with(gateway: &Gateway, who: &Principal, headers: &HeaderMap, said: Said<'_>, rejection: Option<Refusal>) -> Reply {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let args = if said.args.is_null() && rejection.is_none() { json!({}) } else { said.args.clone() };
    let request = Request {
        rejected: rejection,
        others: said.others,
        session: text(SESSION_ID.as_str()),
        protocol: text("mcp-protocol-version"),
        user_agent: user_agent(headers),
        ..Request::new(who.clone(), said.name.as_str().unwrap_or_default(), args)
    };
    gateway.submit(request, Reservation::default()).await
}

/// Why a message is rejected, as a refusal.
pub fn refusal(text: &str) -> Refusal {
    Refusal::new(Code::ValidationFailed, text)
}

impl Exchange<'_> {
    /// The call that was written down; or the answer in place of all others, if nothing could be, or to a key that is dead.
    async fn noted(&self, params: &Value, refusal: &Refusal) -> Result<Option<CallId>, Problem> {
        self.noted_as(Said { name: &params["name"], args: &params["arguments"], others: 0 }, refusal).await
    }

    async fn noted_as(&self, said: Said<'_>, refusal: &Refusal) -> Result<Option<CallId>, Problem> {
        let why = Some(refusal.clone());
        let reply = note_with(&self.http.gateway, &self.principal, &self.parts.headers, said, why).await;
        let call = reply.call().cloned();
        match reply {
            Reply::Failed { refusal, .. } if refusal.code.status() == StatusCode::UNAUTHORIZED.as_u16() => {
                Err(Problem::from(refusal).of_call(call))
            }
            Reply::Failed { refusal, .. } if is_unwritten(refusal.code) => Err(refusal.into()),
            _ => Ok(call),
        }
    }

    /// Notes each call among messages that are refused as one; the last of them. As many as a batch may hold are noted one by
    /// one; of the rest one of each tool is, with how many others there were of it, and what is left is counted with the last.
    async fn noted_each(&self, held: &PartialMessage, refusal: &Refusal) -> Result<Option<CallId>, Problem> {
        let said = |params| as_said(params, &held.text);
        let mut calls =
            members(&held.messages).into_iter().filter(|message| is_call(message)).map(|message| said(&message["params"]));
        let mut last = None;
        for call in calls.by_ref().take(BATCH) {
            last = self.noted_as(call, refusal).await?.or(last);
        }
        let mut kinds = by_tool(calls);
        if let Some(kind) = kinds.last_mut() {
            kind.others = kind.others.saturating_add(held.others);
        }
        for call in kinds {
            last = self.noted_as(call, refusal).await?.or(last);
        }
        Ok(last)
    }

    /// A message that goes no further.
    pub(super) async fn turned_away(&self, message: &Value, problem: Problem) -> Problem {
        if !is_call(message) {
            return problem;
        }
        let noted = self.noted(&message["params"], problem.refusal()).await;
        noted.map_or_else(|worse| worse, |call| problem.of_call(call))
    }

    /// What rmcp has answered, if it has not handed the call on.
    pub(super) async fn unless_reached(&self, message: &Value, reached: &Reached, answer: Response) -> Result<Response, Problem> {
        let is_error = answer.status().is_client_error() || answer.status().is_server_error();
        // A notification is taken, answered by nobody, and does nothing.
        if !is_call(message) || reached.is_marked() || !is_error {
            return Ok(answer);
        }
        let why = refusal("The protocol does not allow the request: its session, its headers or its parameters are not right.");
        Ok(about(answer, self.noted(&message["params"], &why).await?.as_ref()))
    }

    /// A body that cannot be read.
    pub(super) async fn unread(&self, problem: Problem, body: Value) -> Problem {
        let noted = self.noted_unread(problem.refusal(), body).await;
        noted.map_or_else(|worse| worse, |call| problem.of_call(call))
    }

    async fn noted_unread(&self, refusal: &Refusal, body: Value) -> Result<Option<CallId>, Problem> {
        let header = |name: &str| self.parts.headers.get(name).and_then(|value| value.to_str().ok());
        if header("mcp-method") != Some(CALL) {
            return Ok(None);
        }
        let params = json!({ "name": header("mcp-name"), "arguments": body });
        self.noted(&params, refusal).await
    }

    /// A body that does not say what it is: a call in it is one all the same.
    pub(super) async fn untyped(&self, problem: Problem, bytes: &Bytes) -> Problem {
        let noted = self.noted_in(problem.refusal(), bytes).await;
        noted.map_or_else(|worse| worse, |call| problem.of_call(call))
    }

    /// Notes what a body holds that is refused whole; if there is no call in it, it is one if the header says so.
    async fn noted_in(&self, refusal: &Refusal, bytes: &Bytes) -> Result<Option<CallId>, Problem> {
        let read =
            |bytes: &[u8]| document::read(bytes).ok().map(PartialMessage::from).or_else(|| partial_message::call_in(bytes));
        match body::in_turn(self.http, &self.whose(), bytes, read).await {
            Some(held) if members(&held.messages).into_iter().any(is_call) => self.noted_each(&held, refusal).await,
            _ => self.noted_unread(refusal, text_of(bytes)).await,
        }
    }

    /// A body that holds no message, or messages that are refused as one.
    pub(super) async fn unfit(&self, unfit: RejectedBody, bytes: &[u8]) -> Result<Response, Problem> {
        let why = refusal(&unfit.why);
        let call = match &unfit.held {
            Some(held) => self.noted_each(held, &why).await?,
            None => self.noted_unread(&why, text_of(bytes)).await?,
        };
        Ok(about(unfit.answer, call.as_ref()))
    }

    /// Why the key is refused before its body is read, if it is known to be revoked. Any other end is for the log to say.
    pub(super) fn check_revoked(&self) -> Result<(), Refusal> {
        let (state, key) = (self.http.gateway.state(), &self.principal.credential);
        if is_revoked(&state, key) { alive(&state, key, self.http.gateway.control().ports.clock.now()).map(drop) } else { Ok(()) }
    }

    /// A request of a key that is revoked: of what it holds so much is looked at as tells whether it asks for a call, if that came
    /// with it; else its headers say.
    pub(super) async fn revoked(&self, refusal: Refusal, body: Body) -> Problem {
        if self.parts.method != Method::POST {
            return refusal.into();
        }
        let seen = body::glimpse(body, &self.parts.headers).await;
        let mut answer = Problem::from(refusal.clone());
        match seen.and_then(|bytes| document::read(&bytes).ok()) {
            Some(held) => {
                for call in members(&held).into_iter().filter(|message| is_call(message)).take(BATCH) {
                    answer = self.noted(&call["params"], &refusal).await.err().unwrap_or(answer);
                }
            }
            None => answer = self.noted_unread(&refusal, Value::Null).await.err().unwrap_or(answer),
        }
        answer
    }

    /// The staff, who do not use MCP.
    pub(super) async fn staff(&self, body: Body) -> Problem {
        let refusal = Refusal::new(Code::ForbiddenRole, "Staff keys are not accepted over MCP.").hint("Use the REST API.");
        if self.parts.method != Method::POST {
            return refusal.into();
        }
        let Ok(BufferedBody { bytes, held: _held }) = body::read(body, self.http, &self.whose()).await else {
            return self.unread(refusal.into(), Value::Null).await;
        };
        let noted = self.noted_in(&refusal, &bytes).await;
        noted.map_or_else(|worse| worse, |call| Problem::from(refusal).of_call(call))
    }
}

/// One call of each tool, at most as many as a batch may hold, and how many others each of them stands for.
fn by_tool<'a>(calls: impl Iterator<Item = Said<'a>>) -> Vec<Said<'a>> {
    let mut kinds: Vec<Said<'_>> = Vec::new();
    for call in calls {
        let full = kinds.len() == BATCH;
        let known = kinds.iter().position(|kind| kind.name == call.name);
        match known.or(full.then(|| kinds.len() - 1)).and_then(|at| kinds.get_mut(at)) {
            Some(kind) => kind.others = kind.others.saturating_add(1),
            None => kinds.push(call),
        }
    }
    kinds
}

/// What parameters say of a call; of one without arguments that is not known whole, `text` stands for them.
fn as_said<'a>(params: &'a Value, text: &'a Value) -> Said<'a> {
    let args = Some(&params["arguments"]).filter(|args| !args.is_null()).unwrap_or(text);
    Said { name: &params["name"], args, others: 0 }
}

fn members(held: &Value) -> Vec<&Value> {
    held.as_array().map_or_else(|| vec![held], |messages| messages.iter().collect())
}

/// An answer that names the call it is about, where its body has no room for that.
pub fn about(mut answer: Response, call: Option<&CallId>) -> Response {
    if let Some(call) = call.and_then(|call| HeaderValue::from_str(call.as_str()).ok()) {
        answer.headers_mut().insert(CALL_ID, call);
    }
    answer
}
