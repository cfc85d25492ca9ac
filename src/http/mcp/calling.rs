//! A `tools/call`, from MCP's words to a submission and back.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, Implementation, InputRequests,
    InputRequiredResult, MetaObject, ProgressNotificationParam, ProgressToken, ServerRequest,
};
use rmcp::service::{Peer, RequestContext};
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::message::MODERN;
use super::rejected;
use super::sessions::SESSION_ID;
use super::streams::Made;
use crate::control::{OnHold, Reply, Request};
use crate::core::call::Status;
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::time::Clock;
use crate::http::api::idempotency_key::check_key;
use crate::http::body_budget::Reservation;
use crate::http::caller::{KeyHeader, user_agent};
use crate::http::gateway::Gateway;
use crate::tools::Progress;

/// Progress is told at most this often.
const PROGRESS: Duration = Duration::from_millis(100);

/// Progress that waits to be told; of what comes while a client does not read, only so much.
const PENDING: usize = 16;

type Context = RequestContext<RoleServer>;

/// Calls a tool for `who`.
pub async fn call(
    gateway: &Gateway,
    who: Principal,
    request: CallToolRequestParams,
    context: Context,
) -> Result<CallToolResponse, ErrorData> {
    let args = Value::Object(request.arguments.unwrap_or_default());
    let headers = context.extensions.get::<http::request::Parts>().map(|parts| &parts.headers);
    let rejected = headers.and_then(|headers| check_key(&args, &KeyHeader::of(headers)).err());
    let (wanted, held) = wanted(&context, who, request.name.to_string(), args);
    let mut wanted = Request { rejected, follows: request.request_state, ..wanted };
    let listener = context.meta.get_progress_token().map(|token| {
        let (sender, progress) = mpsc::channel(PENDING);
        wanted.progress = Some(sender);
        (token, progress)
    });
    let is_modern = wanted.protocol.as_deref() == Some(MODERN);
    let shows_links = context.client_capabilities().is_some_and(|can| takes_links(&can));
    let mut asked = None;
    if shows_links && is_modern {
        leave_on_hold(&mut wanted);
    } else if shows_links {
        let (sender, receiver) = oneshot::channel();
        (wanted.on_hold, asked) = (OnHold::Tell(sender), Some(receiver));
    }
    let (span, rounds) = (span(gateway, &wanted, callers_trace(&context)), matches!(wanted.on_hold, OnHold::Leave));
    answer(&traced(wait(gateway, (wanted, held), &context, listener, asked), span).await, rounds)
}

/// A call with what its connection says of it, and its share of what may be in memory.
fn wanted(context: &Context, who: Principal, tool: String, args: Value) -> (Request, Reservation) {
    let parts = context.extensions.get::<http::request::Parts>();
    let header = |name: &str| parts.and_then(|parts| parts.headers.get(name)?.to_str().ok()).map(str::to_owned);
    let request = Request {
        session: header(SESSION_ID.as_str()),
        protocol: context.protocol_version().map(|version| version.to_string()),
        user_agent: parts.and_then(|parts| user_agent(&parts.headers)),
        made: parts.and_then(|parts| parts.extensions.get::<Made>()).map(|made| made.0.clone()),
        ..Request::new(who, tool, args)
    };
    (request, parts.and_then(|parts| parts.extensions.get()).cloned().unwrap_or_default())
}

/// A call with parameters that the protocol does not have: recorded, and a fault of the request.
pub async fn malformed(gateway: &Gateway, who: Principal, mut params: Value, context: &Context) -> ErrorData {
    let text = "These are no parameters of tools/call.";
    let tool = params["name"].as_str().unwrap_or_default().to_owned();
    let args = params.get_mut("arguments").map(Value::take).unwrap_or_default();
    let rejected = Some(rejected::refusal(text));
    let (wanted, held) = wanted(context, who, tool, args);
    let reply = gateway.submit(Request { rejected, ..wanted }, held).await;
    ErrorData::invalid_params(text, Some(reply.document()))
}

/// A client that is to ask its user first: it is answered at once where the user finds a person, and comes back. Once only, so
/// that nobody is asked in a circle; then it waits for the call.
pub fn leave_on_hold(request: &mut Request) {
    if request.follows.is_none() {
        request.on_hold = OnHold::Leave;
    }
}

/// Waits for a reply within its span.
pub async fn traced(reply: impl Future<Output = Reply>, span: tracing::Span) -> Reply {
    let reply = reply.instrument(span.clone()).await;
    if matches!(reply, Reply::Failed { .. }) {
        span.record("error.type", "tool_error");
    }
    reply
}

/// The span of a call, by the MCP conventions.
pub fn span(gateway: &Gateway, request: &Request, caller: Option<opentelemetry::Context>) -> tracing::Span {
    let known = gateway.control().catalogue.get(&request.tool).map_or("unknown", |tool| tool.facts.name);
    let span = tracing::info_span!(
        "tools/call",
        otel.name = format!("tools/call {known}"),
        otel.kind = "server",
        mcp.method.name = "tools/call",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = known,
        mcp.protocol.version = request.protocol.as_deref().unwrap_or_default(),
        network.transport = "tcp",
        error.type = tracing::field::Empty,
    );
    if let Some(parent) = caller {
        // Without an exporter there is no trace to be part of.
        let _ = span.set_parent(parent);
    }
    span
}

/// The W3C trace context that the caller put into `_meta`: our span is a child of its.
fn callers_trace(context: &Context) -> Option<opentelemetry::Context> {
    let parent = context.meta.get_traceparent().filter(|text| is_traceparent(text))?;
    let mut carrier = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
    carrier.extend(context.meta.get_tracestate().map(|state| ("tracestate".to_owned(), state.to_owned())));
    Some(TraceContextPropagator::new().extract(&carrier))
}

/// `version-trace-parent-flags`, each of its length in lower hex.
fn is_traceparent(text: &str) -> bool {
    let fields: Vec<&str> = text.split('-').collect();
    let is_hex = |field: &str| field.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    fields.iter().map(|field| field.len()).eq([2, 32, 16, 2]) && fields.iter().all(|field| is_hex(field))
}

/// Waits for the reply; passes progress on, and the wish to cancel.
async fn wait(
    gateway: &Gateway,
    (request, held): (Request, Reservation),
    context: &Context,
    mut listener: Option<(ProgressToken, mpsc::Receiver<Progress>)>,
    asked: Option<oneshot::Receiver<Refusal>>,
) -> Reply {
    let cancel = request.cancel.clone();
    let mut teller =
        ProgressReporter { peer: context.peer.clone(), clock: std::sync::Arc::clone(&gateway.control().ports.clock), told: None };
    let submitting = gateway.submit(request, held);
    let eliciting = elicit(&context.peer, asked);
    tokio::pin!(submitting, eliciting);
    let mut is_elicited = false;
    loop {
        tokio::select! {
            reply = &mut submitting => return reply,
            () = context.ct.cancelled(), if !cancel.is_cancelled() => cancel.cancel(),
            () = &mut eliciting, if !is_elicited => is_elicited = true,
            progress = next(&mut listener) => match (progress, &listener) {
                (Some(progress), Some((token, _))) => teller.report(token, progress).await,
                _ => listener = None,
            },
        }
    }
}

/// Whether the client shows its user a link that we ask it to.
pub fn takes_links(can: &ClientCapabilities) -> bool {
    can.elicitation.as_ref().is_some_and(|elicitation| elicitation.url.is_some())
}

/// Shows the client's user where a person answers, once the call waits for one; until 2025-11-25, when a server asks while a
/// call runs. What the client says to it decides nothing.
async fn elicit(peer: &Peer<RoleServer>, asked: Option<oneshot::Receiver<Refusal>>) {
    let Some(asked) = asked else { return };
    let Ok(Refusal { message, details, .. }) = asked.await else { return };
    let params = json!({ "mode": "url", "message": message, "url": details["url"], "elicitationId": details["approval_id"] });
    let request = json!({ "method": "elicitation/create", "params": params });
    // Without a configured address there is no link, and no request.
    let Ok(request) = serde_json::from_value::<ServerRequest>(request) else { return };
    let _ = peer.send_request(request).await;
}

async fn next(listener: &mut Option<(ProgressToken, mpsc::Receiver<Progress>)>) -> Option<Progress> {
    match listener {
        Some((_, progress)) => progress.recv().await,
        None => std::future::pending().await,
    }
}

/// Tells progress: it only grows, and not too often.
struct ProgressReporter {
    peer: Peer<RoleServer>,
    clock: std::sync::Arc<dyn Clock>,
    told: Option<(f64, Duration)>,
}

impl ProgressReporter {
    async fn report(&mut self, token: &ProgressToken, progress: Progress) {
        let now = self.clock.elapsed();
        let is_last = progress.total.is_some_and(|total| progress.done >= total);
        let due = self.told.is_none_or(|(done, at)| progress.done > done && (is_last || now.saturating_sub(at) >= PROGRESS));
        if !due {
            return;
        }
        self.told = Some((progress.done, now));
        let mut told = ProgressNotificationParam::new(token.clone(), progress.done).with_message(progress.message);
        told.total = progress.total;
        // Nobody listens any more: the call goes on all the same.
        let _ = self.peer.notify_progress(told).await;
    }
}

/// What a client is answered. A tool that this caller does not have is a fault of the request; a call that waits for a
/// person is a question, if its caller left it (`rounds`).
pub fn answer(reply: &Reply, rounds: bool) -> Result<CallToolResponse, ErrorData> {
    match reply {
        Reply::Failed { refusal, .. } if refusal.code == Code::UnknownTool => {
            Err(ErrorData::invalid_params(refusal.message.clone(), Some(reply.document())))
        }
        Reply::Failed { call: Some(call), refusal, status: Status::Held } if rounds => {
            Ok(question(call, refusal).map_or_else(|| result(reply).into(), CallToolResponse::InputRequired))
        }
        _ => Ok(result(reply).into()),
    }
}

/// Since 2026-07-28 a server asks with a result, and the client calls again. None without a configured address: there is no
/// link then.
fn question(call: &CallId, refusal: &Refusal) -> Option<InputRequiredResult> {
    let params = json!({ "mode": "url", "message": refusal.message, "url": refusal.details["url"] });
    let requests = json!({ "approval": { "method": "elicitation/create", "params": params } });
    let requests: InputRequests = serde_json::from_value(requests).ok()?;
    let mut question = InputRequiredResult::new(Some(requests), Some(call.to_string()));
    question.meta = Some(served_for(Some(call)));
    Some(question)
}

/// A reply as a tool result: the document, and the same as text.
pub fn result(reply: &Reply) -> CallToolResult {
    let document = reply.document();
    let text = vec![ContentBlock::text(serde_json::to_string(&document).unwrap_or_default())];
    let mut result = match reply {
        Reply::Failed { .. } => CallToolResult::error(text),
        Reply::Done { .. } | Reply::Running { .. } => CallToolResult::success(text),
    };
    result.structured_content = Some(document);
    result.with_meta(Some(served_for(reply.call())))
}

fn served_for(call: Option<&CallId>) -> MetaObject {
    let mut meta = served_by();
    if let Some(call) = call {
        meta.insert("forelog/call_id".into(), json!(call));
    }
    meta
}

/// What this server is, for clients.
pub fn implementation() -> Implementation {
    Implementation::new("forelog", env!("CARGO_PKG_VERSION")).with_title("Forelog")
}

/// Result metadata that names this server, as 2026-07-28 asks for on every result.
pub fn served_by() -> MetaObject {
    static SERVED_BY: LazyLock<MetaObject> = LazyLock::new(|| {
        let mut meta = MetaObject::default();
        meta.insert("io.modelcontextprotocol/serverInfo".into(), json!(implementation()));
        meta
    });
    SERVED_BY.clone()
}
