//! Connections to servers that are not ours: TLS by the certificates that this machine trusts, and only to permitted addresses.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use rustls::{ClientConfig, RootCertStore};
use tower::Service;

use super::Addresses;

/// How often TCP asks whether the other end of a silent connection is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Connects over TLS, or in the clear: its user says which, by the scheme of the URL.
pub type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// A connector that gives up after `patience`, and connects to `addresses` alone where a name is resolved. An address that a URL
/// holds itself is its user's to check.
pub fn connector(patience: Duration, addresses: Addresses) -> Result<Connector, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let (added, refused) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    tracing::debug!(added, refused, "certificates of this machine");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = versions.with_root_certificates(roots).with_no_client_auth();
    let mut connector = HttpConnector::new_with_resolver(Resolver { system: GaiResolver::new(), addresses });
    connector.set_connect_timeout(Some(patience));
    connector.set_keepalive(Some(KEEPALIVE));
    connector.enforce_http(false);
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector))
}

/// Resolves names as the system does, and leaves out every address that is not permitted.
#[derive(Clone, Debug)]
pub struct Resolver {
    system: GaiResolver,
    addresses: Addresses,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolved, addresses) = (self.system.call(name), self.addresses);
        Box::pin(async move {
            let permitted: Vec<_> = resolved.await?.filter(|found| addresses.contain(found.ip())).collect();
            if permitted.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "its name leads to no address that may be asked"));
            }
            Ok(permitted.into_iter())
        })
    }
}
