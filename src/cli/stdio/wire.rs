//! The way to a server's MCP endpoint, or to one of its tools: over TLS to a URL, or over its socket on this machine.
//!
//! INVARIANT: the key goes nowhere but to the endpoint that was named: no redirect is followed, no proxy is asked, and nothing
//! is sent in the clear but to this machine itself.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::UnixStream;
use tower::Service;
use url::Url;

use super::pipe_error::PipeError;
use crate::app::socket::Reachable;
use crate::outbound::{Addresses, Connector, connector, is_loopback};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection that nobody uses is kept: not as long as a server keeps it.
const IDLE: Duration = Duration::from_secs(30);

/// What an answer may be.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// What comes back, before it is read.
pub type Raw = Response<hyper::body::Incoming>;

/// A request that was not answered.
#[derive(Debug)]
pub enum Unanswered {
    /// Nobody was there: nothing was sent.
    Unsent(String),
    /// It may have been sent, and nothing came back.
    Broken(String),
}

impl Unanswered {
    /// What happened.
    pub fn text(&self) -> String {
        match self {
            Self::Unsent(text) | Self::Broken(text) => text.clone(),
        }
    }
}

/// What is spoken to at a server.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// The MCP endpoint, or the one that offers only what reads.
    Mcp {
        /// The latter.
        read_only: bool,
    },
    /// A tool over REST.
    Tool(&'a str),
}

impl Place<'_> {
    /// Its path below the server's address; one for reading stays one.
    fn path(self, reads: bool) -> String {
        match self {
            Self::Mcp { read_only } if reads || read_only => "/mcp/readonly".into(),
            Self::Mcp { .. } => "/mcp".into(),
            Self::Tool(name) => format!("/api/v1/tools/{name}"),
        }
    }

    /// What the one calls itself that speaks.
    fn agent(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Mcp { .. } => concat!("forelog-stdio/", env!("CARGO_PKG_VERSION")),
            Self::Tool(_) => concat!("forelog-call/", env!("CARGO_PKG_VERSION")),
        })
    }
}

/// The way to one endpoint, with one key.
pub struct Wire {
    client: Clients,
    endpoint: Uri,
    key: HeaderValue,
    agent: HeaderValue,
}

enum Clients {
    Socket(Client<Dial, Full<Bytes>>),
    Remote(Client<Connector, Full<Bytes>>),
}

impl Wire {
    /// By the socket of whoever serves a data directory.
    pub fn to_socket(data: &Path, place: Place, key: &SecretString) -> Result<Self, PipeError> {
        let endpoint = endpoint("http://localhost", place)?;
        let dial = Dial(Arc::new(data.to_owned()));
        // One that is left open may lead to a server that is gone: then nobody could say whether it was told.
        let client = Clients::Socket(builder().pool_max_idle_per_host(0).build(dial));
        Ok(Self { client, endpoint, key: bearer(key)?, agent: place.agent() })
    }

    /// To a URL.
    pub fn to_url(url: &str, place: Place, key: &SecretString) -> Result<Self, PipeError> {
        let endpoint = endpoint(url, place)?;
        let connector = connector(CONNECT, Addresses::Any).map_err(PipeError::Tls)?;
        let client = Clients::Remote(builder().build(connector));
        Ok(Self { client, endpoint, key: bearer(key)?, agent: place.agent() })
    }

    /// Where it leads, for people.
    pub fn display_target(&self) -> String {
        match self.client {
            Clients::Socket(_) => "the server on this machine".to_owned(),
            Clients::Remote(_) => self.endpoint.to_string(),
        }
    }

    /// Sends one request, and waits until its answer begins.
    pub async fn send(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<Raw, Unanswered> {
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, self.endpoint.clone(), headers);
        let fields = request.headers_mut();
        fields.insert(header::AUTHORIZATION, self.key.clone());
        fields.insert(header::ACCEPT, ACCEPT);
        fields.insert(header::USER_AGENT, self.agent.clone());
        let sent = match &self.client {
            Clients::Socket(client) => client.request(request).await,
            Clients::Remote(client) => client.request(request).await,
        };
        sent.map_err(|error| unanswered(&error))
    }
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    builder
}

fn unanswered(error: &Error) -> Unanswered {
    let text = crate::core::error_chain::error_chain(error);
    if error.is_connect() && text.contains("InvalidContentType") {
        return Unanswered::Unsent("it does not speak TLS there: is it http:// instead of https://?".into());
    }
    if error.is_connect() { Unanswered::Unsent(text) } else { Unanswered::Broken(text) }
}

fn bearer(key: &SecretString) -> Result<HeaderValue, PipeError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret().trim())).map_err(|_| PipeError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A place at a server, whether its address is named, or that of its MCP endpoint.
fn endpoint(text: &str, place: Place) -> Result<Uri, PipeError> {
    let unfit = |why: &'static str| PipeError::Url { url: without_secrets(text), why };
    if !text.contains("://") {
        return Err(unfit("it does not begin with https://, or with http:// for a server on this machine"));
    }
    let mut url = Url::parse(text).map_err(|_| unfit("it is no URL"))?;
    if !(url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url))) {
        return Err(unfit("the key is sent over https only, or in the clear to this machine itself"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(unfit("it is a scheme, a host and a path, and nothing else"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let (base, reads) = match path.strip_suffix("/mcp/readonly") {
        Some(base) => (base, true),
        None => (path.strip_suffix("/mcp").unwrap_or(&path), false),
    };
    url.set_path(&format!("{base}{}", place.path(reads)));
    url.as_str().parse().map_err(|_| unfit("it is no URL"))
}

/// The flag with its URL as it may be shown: nothing of what is no URL, which may be a secret.
fn without_secrets(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "--url".to_owned() };
    url.set_query(None);
    // A URL without a host has no user either.
    let _ = (url.set_username(""), url.set_password(None));
    format!("--url {url}")
}

/// Connects to the socket in a data directory.
#[derive(Clone)]
struct Dial(Arc<PathBuf>);

impl Service<Uri> for Dial {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let data = Arc::clone(&self.0);
        Box::pin(async move { dial(&data).await.map(TokioIo::new) })
    }
}

/// Connects to the socket of whoever serves a data directory: the user who owns it, or this one, or root. Anybody else who
/// listens there has put the socket there to be given keys.
pub async fn dial(data: &Path) -> io::Result<UnixStream> {
    let way = Reachable::new(data)?;
    let stream = UnixStream::connect(way.as_path()).await?;
    let served_by = stream.peer_cred()?.uid();
    let trusted = [std::fs::metadata(data)?.uid(), rustix::process::geteuid().as_raw(), 0];
    if !trusted.contains(&served_by) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("user {served_by} listens there")));
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::{Place, endpoint};

    #[test]
    fn urls_lead_to_the_endpoint_and_never_in_the_clear() {
        for (url, read_only, expected) in [
            ("https://forelog.example", false, "https://forelog.example/mcp"),
            ("https://forelog.example/", true, "https://forelog.example/mcp/readonly"),
            ("https://forelog.example/mcp", false, "https://forelog.example/mcp"),
            ("https://forelog.example/mcp/", true, "https://forelog.example/mcp/readonly"),
            ("https://forelog.example/mcp/readonly", false, "https://forelog.example/mcp/readonly"),
            ("https://example.com/ops/forelog", false, "https://example.com/ops/forelog/mcp"),
            ("http://127.0.0.1:7373", false, "http://127.0.0.1:7373/mcp"),
            ("http://[::1]:7373", false, "http://[::1]:7373/mcp"),
            ("http://localhost:7373", false, "http://localhost:7373/mcp"),
        ] {
            assert_eq!(endpoint(url, Place::Mcp { read_only }).unwrap().to_string(), expected);
        }
        let tool = endpoint("https://example.com/ops/mcp/readonly", Place::Tool("vm_get")).unwrap();
        assert_eq!(tool.to_string(), "https://example.com/ops/api/v1/tools/vm_get");
        for url in [
            "http://forelog.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1:7373",
            "http://localhost.example",
            "ftp://localhost",
            "unix:///run/forelog.sock",
            "forelog.example",
            "https://someone:secret@forelog.example",
            "https://forelog.example?key=secret",
            "https://forelog.example#x",
            "",
        ] {
            let refused = endpoint(url, Place::Mcp { read_only: false }).unwrap_err().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
