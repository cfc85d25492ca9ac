//! The HTTP client for servers that are not ours: issuers of identities, a collector of traces, and whatever else is asked later.
//!
//! INVARIANT: a request follows no redirect and uses no proxy. Connecting, the whole answer and its size are bounded. Plain HTTP and
//! addresses that are not public are used only if the [`Rules`] of the client say so, whatever a URL, a name or an answer says.

mod address;
mod connect;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use url::{Host, Url};

pub use self::address::Addresses;
pub use self::connect::{Connector, connector};

/// Where plain HTTP may be spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// Nowhere: https only.
    Never,
    /// To this machine itself.
    Loopback,
    /// Anywhere, because an operator wrote the URL down.
    Anywhere,
}

/// What a client may ask, and how long and how large an answer may be.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Where plain HTTP may be spoken.
    pub plain_http: PlainHttp,
    /// Which addresses may be connected to.
    pub addresses: Addresses,
    /// Longest time for a connection.
    pub connect: Duration,
    /// Longest time for one answer, connection included.
    pub answer: Duration,
    /// Largest body of an answer, in bytes.
    pub largest: usize,
}

/// A request that was not sent, or not answered as it has to be.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL is plain HTTP where that is not allowed, or no URL of HTTP.
    #[error("{0} is not asked: not https, and not on this machine")]
    PlainHttp(String),
    /// The URL names an address that is not public.
    #[error("{0} is not asked: it is not a public address")]
    NotPublic(String),
    /// The server cannot be reached.
    #[error("it cannot be reached")]
    Unreached(#[source] hyper_util::client::legacy::Error),
    /// The server did not answer in time.
    #[error("it did not answer in time")]
    Late,
    /// The answer broke off, or is too large.
    #[error("its answer broke off, or is larger than {largest} bytes")]
    Broken {
        /// Largest body, in bytes.
        largest: usize,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// A client with its rules. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: Client<Connector, Full<Bytes>>,
    rules: Rules,
}

impl Outbound {
    /// A client that trusts the certificates which this machine trusts.
    pub fn new(rules: Rules) -> Result<Self, OutboundError> {
        let connector = connector(rules.connect, rules.addresses)?;
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), rules })
    }

    /// The same client with another rule for plain HTTP.
    #[must_use]
    pub fn with_plain_http(&self, plain_http: PlainHttp) -> Self {
        Self { client: self.client.clone(), rules: Rules { plain_http, ..self.rules } }
    }

    /// Whether the scheme of a URL is allowed: also for a browser that is to be sent there.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => match self.rules.plain_http {
                PlainHttp::Never => false,
                PlainHttp::Loopback => is_loopback(url),
                PlainHttp::Anywhere => true,
            },
            _ => false,
        }
    }

    /// Sends a request and reads the whole answer, whatever its status is.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, OutboundError> {
        self.check(request.uri())?;
        let answered = async {
            let (parts, body) = self.client.request(request.map(Full::new)).await.map_err(OutboundError::Unreached)?.into_parts();
            let largest = self.rules.largest;
            let read = Limited::new(body, largest).collect().await;
            let read = read.map_err(|source| OutboundError::Broken { largest, source })?;
            Ok(Response::from_parts(parts, read.to_bytes()))
        };
        tokio::time::timeout(self.rules.answer, answered).await.unwrap_or(Err(OutboundError::Late))
    }

    fn check(&self, uri: &Uri) -> Result<(), OutboundError> {
        let text = uri.to_string();
        if !Url::parse(&text).is_ok_and(|url| self.allows(&url)) {
            return Err(OutboundError::PlainHttp(text));
        }
        // The connector resolves no name that is an address already, so it is looked at here, read as the connector reads it.
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.parse().is_ok_and(|ip| !self.rules.addresses.contain(ip)) {
            return Err(OutboundError::NotPublic(text));
        }
        Ok(())
    }
}

/// Whether a URL names this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
