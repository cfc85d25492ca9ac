//! What stands before every page: where a form was sent from, and the headers that keep a page to itself.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::page_error::PageError;
use crate::http::Http;
use crate::http::ingress::host;

/// Content security policy: nothing from other origins, nothing inline, no framing.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses what changes something unless a page of this server sent it. A session's form has a token besides.
pub async fn same_origin(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let host = host(request.uri(), request.headers());
    if reads || is_same_origin(request.headers(), host.as_deref()) {
        return next.run(request).await;
    }
    PageError::OtherOrigin.into_response()
}

/// Browsers say where a request comes from by `Sec-Fetch-Site`, older ones by `Origin`; one that says neither is refused.
fn is_same_origin(headers: &HeaderMap, host: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = text("origin").map(|origin| origin.split_once("://").map_or("", |(_, authority)| authority));
    let named = origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host));
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin" && (origin.is_none() || named),
        None => named,
    }
}

/// Sets the headers that are the same for all pages, and how long the page took here.
pub async fn harden(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let clock = &http.gateway.control().ports.clock;
    let begun = clock.elapsed();
    let mut response = next.run(request).await;
    let took = clock.elapsed().saturating_sub(begun);
    let headers = response.headers_mut();
    if let Ok(timing) = HeaderValue::from_str(&format!("page;dur={}.{:03}", took.as_millis(), took.as_micros() % 1000)) {
        headers.insert("server-timing", timing);
    }
    if http.settings.is_encrypted() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("permissions-policy", HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"));
    // `same-origin`, not `no-referrer`: with that, browsers send `Origin: null` with a form.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
