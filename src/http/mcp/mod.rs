//! MCP over Streamable HTTP, on `/mcp` and, with read tools only, on `/mcp/readonly`: rmcp speaks the five protocol
//! versions, and what it leaves open is closed here.
//!
//! ```text
//! Origin ▶ bearer ▶ not revoked ▶ not staff ▶ JSON-RPC (or batch) ▶ session of this key? ▶ key alive ▶ rmcp ▶ Handler ▶ Gateway
//! ```
//!
//! INVARIANT: a session id alone opens nothing. Every request is authenticated, and a session answers only to the key
//! and endpoint that began it.

mod batch;
mod calling;
mod handler;
mod listing;
mod message;
mod partial_message;
mod plain;
mod precheck;
mod rejected;
mod resume;
mod sessions;
mod single_answer;
mod streams;

pub use message::{INTERNAL_ERROR, INVALID_REQUEST, META_VERSION, MODERN, VERSION};
pub use sessions::SESSION_ID;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::StreamExt;
use http_body_util::BodyExt;
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;

use super::accept::{Accepted, BOTH};
use super::body_budget::{BodyOwner, BufferedBody};
use super::caller::authenticate;
use super::ingress::Local;
use super::problem::Problem;
use super::{Gateway, Http, Settings, body, live, origin};
use crate::core::code::Code;
use crate::core::principal::{Principal, Side, Via};
use crate::core::refusal::Refusal;
use crate::tools::NodeSlot;
use handler::Handler;
use message::Incoming;
use rejected::Reached;
use sessions::Sessions;
use streams::{Made, Streams};

#[cfg(not(feature = "conformance"))]
type Served = Handler;
#[cfg(feature = "conformance")]
type Served = super::conformance::staged::Staged<Handler>;

#[cfg(not(feature = "conformance"))]
fn staged(gateway: &Arc<Gateway>) -> Served {
    Handler::new(Arc::clone(gateway))
}

/// The same handler, with the fixtures of the conformance suite before it.
#[cfg(feature = "conformance")]
fn staged(gateway: &Arc<Gateway>) -> Served {
    let mut key = [0; 32];
    gateway.control().ports.entropy.fill(&mut key);
    Served::new(Handler::new(Arc::clone(gateway)), super::conformance::Fixtures::new(key))
}

/// The MCP side.
pub struct Mcp {
    service: StreamableHttpService<Served, Streams>,
    sessions: Arc<Sessions>,
}

impl Mcp {
    /// MCP in front of `door`.
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>, settings: &Settings) -> Self {
        let mut manager = LocalSessionManager::default();
        manager.session_config = SessionConfig::default();
        manager.session_config.keep_alive = Some(settings.sessions.keep_alive);
        manager.session_config.sse_retry = None;
        let manager = Arc::new(manager);
        let sessions = {
            let ports = &gateway.control().ports;
            Sessions::new(Arc::clone(&manager), Arc::clone(&ports.clock), Arc::clone(ports.fence()), settings.sessions)
        };
        let handler = staged(gateway);
        // Host and Origin were checked before, with our own errors.
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_sse_retry(None)
            .with_max_request_body_bytes(settings.body_limit)
            .with_cancellation_token(gateway.control().leaving.child_token());
        let streams = Arc::new(Streams(manager));
        Self { service: StreamableHttpService::new(move || Ok(handler.clone()), streams, config), sessions }
    }
}

/// The two endpoints. A slash at the end, which people and configurations add, changes nothing.
pub fn router() -> Router<Arc<Http>> {
    Router::new()
        .route("/mcp", any(serve_all))
        .route("/mcp/", any(serve_all))
        .route("/mcp/readonly", any(serve_reads))
        .route("/mcp/readonly/", any(serve_reads))
}

async fn serve_all(State(http): State<Arc<Http>>, request: Request) -> Response {
    serve(&http, request, false).await.unwrap_or_else(IntoResponse::into_response)
}

async fn serve_reads(State(http): State<Arc<Http>>, request: Request) -> Response {
    serve(&http, request, true).await.unwrap_or_else(IntoResponse::into_response)
}

async fn serve(http: &Http, request: Request, read_only: bool) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    origin::check(&parts, &http.settings.allowed_origins)?;
    let via = if parts.extensions.get::<Local>().is_some() { Via::Stdio } else { Via::Mcp };
    let principal = authenticate(http, &parts, via, read_only).await?;
    let exchange = Exchange { http, parts, principal };
    if let Err(refusal) = exchange.check_revoked() {
        return Err(exchange.revoked(refusal, body).await);
    }
    if exchange.principal.side == Side::Staff {
        return Err(exchange.staff(body).await);
    }
    match exchange.parts.method {
        Method::POST => exchange.post(body).await,
        Method::GET | Method::DELETE => exchange.stream().await,
        _ => Err(super::problem::no_such_method().await),
    }
}

/// A body that keeps a place until it has been sent or given up.
fn held(body: Body, place: Option<NodeSlot>) -> Body {
    let Some(place) = place else { return body };
    Body::new(body.map_frame(move |frame| {
        let _kept = &place;
        frame
    }))
}

/// One authenticated HTTP request.
struct Exchange<'a> {
    http: &'a Http,
    parts: Parts,
    principal: Principal,
}

impl Exchange<'_> {
    /// Whose the bytes of its body are.
    fn whose(&self) -> BodyOwner {
        BodyOwner::known(&self.principal, &self.parts)
    }

    async fn post(mut self, body: Body) -> Result<Response, Problem> {
        let whose = self.whose();
        let BufferedBody { bytes, held } = match body::read(body, self.http, &whose).await {
            Ok(read) => read,
            Err(problem) => return Err(self.unread(problem, Value::Null).await),
        };
        // It goes with the request, to wherever its arguments go.
        self.parts.extensions.insert(held);
        if !body::is_json(&self.parts.headers) {
            let refusal = Refusal::new(Code::ValidationFailed, "The body must be JSON: `Content-Type: application/json`.");
            let problem = Problem::at(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal);
            return Err(self.untyped(problem, &bytes).await);
        }
        let read = |bytes: &[u8]| message::read(bytes, &self.parts.headers);
        match body::in_turn(self.http, &whose, &bytes, read).await {
            Ok(Incoming::One(message)) => self.one(message).await,
            Ok(Incoming::Batch(messages)) => self.batch(messages).await,
            Err(unfit) => self.unfit(*unfit, &bytes).await,
        }
    }

    /// One message, through rmcp.
    async fn one(&self, message: Value) -> Result<Response, Problem> {
        let modern = message::is_modern(&message, &self.parts.headers);
        let mut parts = self.parts.clone();
        if modern {
            // There are no sessions any more; an id that is sent all the same is ignored.
            parts.headers.remove(&SESSION_ID);
        }
        if let Err(problem) = self.http.mcp.sessions.check(&parts.headers, &self.principal) {
            return Err(self.turned_away(&message, problem).await);
        }
        if let Some(response) = precheck::stop(&self.http.gateway, &self.principal, &parts.headers, &message).await? {
            return Ok(response);
        }
        let message = match plain::plain(&self.http.gateway, &parts.headers, message) {
            Ok(call) => return Ok(call.call(&self.http.gateway, self.principal.clone(), &parts).await),
            Err(message) => message,
        };
        let begins = message["method"] == "initialize" && !parts.headers.contains_key(&SESSION_ID);
        let opening = if begins { Some(self.http.mcp.sessions.open(&self.principal).await?) } else { None };
        let reached = Reached::default();
        parts.extensions.insert(reached.clone());
        // What was looked at is what is passed on, byte for byte: two readers of one text may differ.
        let response = self.forward(parts, Bytes::from(message.to_string())).await;
        if let (Some(opening), Some(id)) = (opening, response.headers().get(&SESSION_ID)) {
            opening.keep(id);
        }
        let answer = message::tidy(response, &message["id"]).await;
        let response = self.unless_reached(&message, &reached, answer).await?;
        let takes_stream = Accepted::of(&self.parts.headers).stream;
        Ok(if takes_stream { response } else { single_answer::whole(response, &message["id"]).await })
    }

    /// The stream of a session, or its end.
    async fn stream(self) -> Result<Response, Problem> {
        if resume::is_asked(&self.parts.method, &self.parts.headers) {
            let (wait, place) = (self.http.settings.wait, live::place(self.http, &self.principal)?);
            let response = resume::resume(&self.http.gateway, &self.principal, &self.parts.headers, wait).await?;
            return Ok(response.map(|body| held(body, Some(place))));
        }
        self.http.mcp.sessions.check(&self.parts.headers, &self.principal)?;
        self.http.gateway.check_alive(&self.principal).await?;
        let ends = self.parts.method == Method::DELETE;
        let place = if ends { None } else { Some(live::place(self.http, &self.principal)?) };
        let id = self.parts.headers.get(&SESSION_ID).cloned();
        let response = self.forward(self.parts.clone(), Bytes::new()).await;
        if ends && response.status() == StatusCode::ACCEPTED {
            if let Some(id) = id {
                self.http.mcp.sessions.forget(&id);
            }
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let response = message::tidy(response, &Value::Null).await;
        let (gateway, who) = (Arc::clone(&self.http.gateway), self.principal.clone());
        let gone = async move { gateway.dies(&who).await };
        Ok(response.map(|body| held(Body::from_stream(body.into_data_stream().take_until(Box::pin(gone))), place)))
    }

    async fn forward(&self, mut parts: Parts, body: Bytes) -> Response {
        parts.extensions.insert(self.principal.clone());
        parts.extensions.insert(Made::not_yet());
        parts.headers.remove(header::CONTENT_LENGTH);
        // rmcp answers only clients that name both kinds; a stream can be made a document.
        let accepted = Accepted::of(&parts.headers);
        if accepted.is_anything() && (accepted.stream || parts.method == Method::POST) {
            parts.headers.insert(header::ACCEPT, BOTH);
        }
        // The handler sees these parts; the key has done its work.
        parts.headers.remove(header::AUTHORIZATION);
        self.http.mcp.service.handle(Request::from_parts(parts, Body::from(body))).await.map(Body::new)
    }
}
