//! What a browser has to be told so that a page of a listed origin may use MCP and REST from elsewhere.
//!
//! INVARIANT: nothing is said to any other page, and none may send cookies. The console is not part of it: it is for its own pages.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower::{Layer, ServiceExt};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{Http, origin};

/// How long a browser may go by what it was told.
const FRESH: Duration = Duration::from_mins(10);

const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];

/// What a page may send.
const SENT: [HeaderName; 11] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// What a page may read.
const READ: [HeaderName; 6] = [
    header::WWW_AUTHENTICATE,
    header::RETRY_AFTER,
    header::CONTENT_DISPOSITION,
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("forelog-call-id"),
];

/// Answers what a browser asks before a request, and lets a listed page read what this server answers, errors too.
pub(super) async fn share(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    if !is_for_programs(request.uri().path()) {
        return next.run(request).await;
    }
    let asks = is_preflight(&request);
    if !origin::is_listed(request.headers(), &http.settings.allowed_origins) {
        // Without the headers a browser keeps the page from the answer.
        return if asks { origin::refused().into_response() } else { next.run(request).await };
    }
    if !asks && request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods(METHODS)
        .allow_headers(SENT)
        .expose_headers(READ)
        .max_age(FRESH);
    layer.layer(next).oneshot(request).await.unwrap_or_else(|never| match never {})
}

fn is_for_programs(path: &str) -> bool {
    let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below("/mcp") || below("/api")
}

fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
