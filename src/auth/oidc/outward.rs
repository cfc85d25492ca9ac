//! The way out to an issuer.
//!
//! INVARIANT: an answer is bounded in time and size, no redirect is followed, and nothing is asked in the clear but of an
//! issuer that is itself on this machine and in the clear: what an issuer names leads nowhere else.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Map, Value};
use url::Url;

use super::settings::is_loopback;

/// How long an issuer may take for a connection, and for one answer.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(5);

/// How often it is asked whether the other end of a silent connection is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Largest answer: keys and claims are small.
const LARGEST: usize = 256 * 1024;

/// An issuer that did not answer as it has to.
#[derive(Debug, thiserror::Error)]
pub enum OutwardError {
    /// It names an address that is not asked.
    #[error("{0} is not asked: not https, and not on this machine")]
    Clear(String),
    /// It cannot be reached.
    #[error("it cannot be reached")]
    Unreached(#[source] hyper_util::client::legacy::Error),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Late,
    /// The answer broke off, or is too large.
    #[error("its answer broke off, or is larger than {LARGEST} bytes")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No TLS can be spoken here.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Connects over TLS to whoever has a certificate that this machine trusts, or in the clear: which of them is for its user
/// to say.
pub fn connector(patience: Duration) -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let (added, refused) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    tracing::debug!(added, refused, "certificates of this machine");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = versions.with_root_certificates(roots).with_no_client_auth();
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(patience));
    connector.set_keepalive(Some(KEEPALIVE));
    connector.enforce_http(false);
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector))
}

/// The way to one issuer.
#[derive(Clone, Debug)]
pub struct Outward {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    clear: bool,
}

impl Outward {
    /// A way out that trusts the certificates which this machine trusts.
    pub fn new() -> Result<Self, OutwardError> {
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector(CONNECT)?), clear: false })
    }

    /// The same for an issuer that is on this machine and in the clear.
    #[must_use]
    pub fn clear(&self, clear: bool) -> Self {
        Self { client: self.client.clone(), clear }
    }

    /// Whether a browser or we may be sent there.
    #[must_use]
    pub fn leads_to(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.clear && url.scheme() == "http" && is_loopback(url))
    }

    /// Asks.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, OutwardError> {
        let to = request.uri().to_string();
        if !Url::parse(&to).is_ok_and(|url| self.leads_to(&url)) {
            return Err(OutwardError::Clear(to));
        }
        let (parts, body) = request.into_parts();
        let request = http::Request::from_parts(parts, Full::new(Bytes::from(body)));
        let answered = async {
            let (parts, body) = self.client.request(request).await.map_err(OutwardError::Unreached)?.into_parts();
            let read = Limited::new(body, LARGEST).collect().await.map_err(OutwardError::Broken)?;
            Ok(http::Response::from_parts(parts, read.to_bytes().to_vec()))
        };
        tokio::time::timeout(ANSWER, answered).await.unwrap_or(Err(OutwardError::Late))
    }
}

/// The way to an issuer for the library, which reads whole documents strictly: it sees of each answer what is needed.
pub struct Reduced<'o> {
    /// The way.
    pub outward: &'o Outward,
    /// Takes out of a JSON object what nobody reads.
    pub to: fn(&mut Map<String, Value>),
}

impl<'c> AsyncHttpClient<'c> for Reduced<'_> {
    type Error = OutwardError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OutwardError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut response = self.outward.send(request).await?;
            if let Ok(mut document) = serde_json::from_slice::<Map<String, Value>>(response.body()) {
                (self.to)(&mut document);
                *response.body_mut() = Value::Object(document).to_string().into_bytes();
                // It is JSON, whatever it is called.
                response.headers_mut().remove(http::header::CONTENT_TYPE);
            }
            Ok(response)
        })
    }
}
