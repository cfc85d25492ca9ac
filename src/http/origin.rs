//! Which web pages may use this server. MCP demands the check: a page of another site must not speak with a server on this
//! machine. Listed pages may also read the answers (`cors.rs`).

use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};

use super::ingress;
use super::problem::Problem;
use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// Refuses a request whose Origin is neither absent, nor listed, nor this server itself.
pub(super) fn check(parts: &Parts, allowed: &[String]) -> Result<(), Problem> {
    let host = ingress::host(&parts.uri, &parts.headers);
    let is_own = |origin: &Origin| origin.is_own(host.as_deref());
    if !parts.headers.contains_key(header::ORIGIN) || only(&parts.headers).is_some_and(|o| is_own(&o) || o.is_listed(allowed)) {
        return Ok(());
    }
    Err(refused())
}

/// The answer to a page that may not use this server.
pub(super) fn refused() -> Problem {
    let refusal = Refusal::new(Code::OriginNotAllowed, "Pages of this origin may not use this server.")
        .hint("Add it to the allowed origins in the configuration.");
    Problem::at(StatusCode::FORBIDDEN, refusal)
}

/// Whether a request comes from a page that the configuration lists.
pub(super) fn is_listed(headers: &HeaderMap, allowed: &[String]) -> bool {
    only(headers).is_some_and(|origin| origin.is_listed(allowed))
}

/// Whether `text` can be listed: a scheme, a host and perhaps a port, or `:*` for every port.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    let bare = text.strip_suffix(":*").unwrap_or(text);
    let rest = bare.split_once("://").map_or("", |(_, rest)| rest);
    !rest.is_empty() && !rest.contains(['/', '?', '#', '@', '*']) && Origin::read(bare).is_some()
}

/// The origin that a request names; none if there is no, or more than one.
fn only(headers: &HeaderMap) -> Option<Origin> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next()?.to_str().ok()?;
    origins.next().is_none().then(|| Origin::read(origin)).flatten()
}

struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// `null`, and whatever else is no scheme with a host, is no origin.
    fn read(text: &str) -> Option<Self> {
        let uri: Uri = text.to_ascii_lowercase().parse().ok()?;
        let scheme = uri.scheme_str()?.to_owned();
        let port = uri.port_u16().or(match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        });
        Some(Self { scheme, host: uri.host()?.to_owned(), port })
    }

    /// The page came from the very host that it now speaks to, and that host was checked.
    fn is_own(&self, host: Option<&str>) -> bool {
        let asked = host.and_then(|host| Self::read(&format!("{}://{host}", self.scheme)));
        asked.is_some_and(|asked| asked.host == self.host && asked.port == self.port)
    }

    fn is_listed(&self, allowed: &[String]) -> bool {
        allowed.iter().any(|entry| match entry.strip_suffix(":*") {
            Some(any_port) => Self::read(any_port).is_some_and(|entry| entry.scheme == self.scheme && entry.host == self.host),
            None => Self::read(entry)
                .is_some_and(|entry| entry.scheme == self.scheme && entry.host == self.host && entry.port == self.port),
        })
    }
}
