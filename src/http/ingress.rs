//! What stands before every endpoint: the client's real address, the Host header, and the security headers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::set_header::response::SetMultipleResponseHeadersLayer;

use super::problem::Problem;
use super::{Http, forwarded};
use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// The address a request really comes from.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub Option<IpAddr>);

/// Marks a request that came by the socket.
#[derive(Clone, Copy, Debug)]
pub struct Local;

/// Finds the client's address and keeps it with the request.
pub async fn locate(State(http): State<Arc<Http>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    let address = peer.map(|peer| forwarded::client_address(peer, request.headers(), &http.settings));
    request.extensions_mut().insert(ClientAddress(address));
    next.run(request).await
}

/// Ends the connection with the answer, if this node is about to end: a client that reuses it would meet a closed one.
pub async fn part(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let keeps = request.version() != Version::HTTP_11;
    let mut response = next.run(request).await;
    if http.is_draining() && !keeps {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Refuses a request that is addressed to a host that is not ours (DNS rebinding).
pub async fn check_host(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let host = host(request.uri(), request.headers());
    if host.is_some_and(|host| is_listed(&host, &http.settings.allowed_hosts)) {
        return next.run(request).await;
    }
    let refusal = Refusal::new(Code::OriginNotAllowed, "The request is addressed to a host that is not this server.")
        .hint("Add the name to the allowed hosts in the configuration.");
    Problem::at(StatusCode::FORBIDDEN, refusal).into_response()
}

/// The authority that a request is addressed to, in lower case; none if there is none, or more than one, or if the header and
/// the request's own address (`:authority`, or the absolute form) name two.
pub fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let named = hosts.next().map(|value| value.to_str().unwrap_or_default());
    if hosts.next().is_some() {
        return None;
    }
    let authority = uri.authority().map(axum::http::uri::Authority::as_str);
    if named.zip(authority).is_some_and(|(named, authority)| !named.eq_ignore_ascii_case(authority)) {
        return None;
    }
    named.or(authority).map(str::to_ascii_lowercase)
}

/// An entry without a port stands for every port.
fn is_listed(host: &str, allowed: &[String]) -> bool {
    let name = without_port(host);
    allowed.iter().any(|entry| {
        let entry = entry.to_ascii_lowercase();
        entry == host || bare(&entry) == bare(name)
    })
}

/// The host without its port: `[::1]:80` and `::1` keep their colons.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && (name.ends_with(']') || !name.contains(':')) => name,
        _ => host,
    }
}

fn bare(name: &str) -> &str {
    name.trim_start_matches('[').trim_end_matches(']')
}

const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Sets the security headers that an endpoint has not set itself.
pub fn harden() -> SetMultipleResponseHeadersLayer<Response> {
    let headers = HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)).into());
    SetMultipleResponseHeadersLayer::if_not_present(headers.into())
}
