//! The Origin check that MCP demands: a web page of another site must not speak with a server on this machine.

use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};

use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::http::gate;
use crate::http::problem::Problem;

/// Refuses a request whose Origin is neither absent, nor listed, nor this server itself.
pub fn check(parts: &Parts, allowed: &[String]) -> Result<(), Problem> {
    let mut origins = parts.headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    let origin = origin.to_str().ok().filter(|_| origins.next().is_none());
    let host = gate::host(&parts.uri, &parts.headers);
    if origin.and_then(Origin::read).is_some_and(|origin| origin.is_own(host.as_deref()) || origin.is_listed(allowed)) {
        return Ok(());
    }
    let refusal = Refusal::new(Code::OriginNotAllowed, "Pages of this origin may not use MCP here.")
        .hint("Add it to the allowed origins in the configuration.");
    Err(Problem::at(StatusCode::FORBIDDEN, refusal))
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
