//! TLS in the binary: one certificate with its key, read from two files, and read again when they change.
//!
//! INVARIANT: a pair that cannot be used never replaces one that can. Connections that are open keep what they began with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::core::time::Micros;

/// How often the files are looked at, if nobody says that they have changed.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The last second of the year 9999, after which no certificate holds.
const LAST_SECOND: u64 = 253_402_300_799;

/// A certificate that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("reading {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} holds no usable PEM", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The two do not work, or not together.
    #[error("the certificate {} cannot be used with its key", path.display())]
    Pair {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

/// What is served, and where it is read from.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    served: RustlsConfig,
    /// Of what is served now.
    digest: Mutex<[u8; 32]>,
    changed: Notify,
}

impl Tls {
    /// Reads the certificate chain and its key, both PEM.
    pub async fn open(certificate: PathBuf, key: PathBuf) -> Result<Arc<Self>, TlsError> {
        let (config, digest) = read(&certificate, &key).await?;
        let served = RustlsConfig::from_config(Arc::new(config));
        Ok(Arc::new(Self { certificate, key, served, digest: Mutex::new(digest), changed: Notify::new() }))
    }

    /// What new connections are accepted with.
    #[must_use]
    pub fn served(&self) -> RustlsConfig {
        self.served.clone()
    }

    /// Says that the files may have changed.
    pub fn reload_soon(&self) {
        self.changed.notify_one();
    }

    /// Takes over what changes in the files, until `stop`.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let told = tokio::time::timeout(POLL_INTERVAL, self.changed.notified());
            if stop.run_until_cancelled(told).await.is_none() {
                return;
            }
            match self.reload().await {
                Ok(true) => tracing::info!(certificate = %self.certificate.display(), "a new certificate is served"),
                Ok(false) => {}
                Err(error) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, source, "the certificate cannot be taken over; the old one stays");
                }
            }
        }
    }

    async fn reload(&self) -> Result<bool, TlsError> {
        let (config, digest) = read(&self.certificate, &self.key).await?;
        let before = std::mem::replace(&mut *self.digest.lock().unwrap_or_else(PoisonError::into_inner), digest);
        if before == digest {
            return Ok(false);
        }
        self.served.reload_from_config(Arc::new(config));
        Ok(true)
    }
}

/// For how long a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It holds from a later time on.
    NotYet,
    /// It holds until then, or has held.
    Until(Micros),
    /// It has no end.
    Open,
}

/// Reads for how long the server's own certificate in this file holds. rustls tells its end only of one that is over, so it is judged at the end of
/// time; no root is named, so that is all that is judged.
pub async fn validity(certificate: &Path, now: Micros) -> Result<Validity, TlsError> {
    let path = certificate.to_owned();
    let text = tokio::fs::read(certificate).await.map_err(|source| TlsError::File { path: path.clone(), source })?;
    let first = CertificateDer::from_pem_slice(&text).map_err(|source| TlsError::Pem { path: path.clone(), source })?;
    let parsed = ParsedCertificate::try_from(&first).map_err(|source| TlsError::Pair { path, source })?;
    let judged = |seconds| {
        let (roots, at) = (RootCertStore::empty(), UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], at, &[])
    };
    let seconds = u64::try_from(now.0 / 1_000_000).unwrap_or(0);
    if let Err(Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. })) =
        judged(seconds)
    {
        return Ok(Validity::NotYet);
    }
    Ok(match judged(LAST_SECOND) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Validity::Until(Micros(i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX / 1_000_000).saturating_mul(1_000_000)))
        }
        _ => Validity::Open,
    })
}

async fn read(certificate: &PathBuf, key: &PathBuf) -> Result<(ServerConfig, [u8; 32]), TlsError> {
    let file = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::File { path, source }
    };
    let chain = tokio::fs::read(certificate).await.map_err(file(certificate))?;
    let secret = Zeroizing::new(tokio::fs::read(key).await.map_err(file(key))?);
    let digest = Sha256::new().chain_update(&chain).chain_update(&*secret).finalize().into();
    let pem = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::Pem { path, source }
    };
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>().map_err(pem(certificate))?;
    let secret = PrivateKeyDer::from_pem_slice(&secret).map_err(pem(key))?;
    let config = configure(chain, secret).map_err(|source| TlsError::Pair { path: certificate.clone(), source })?;
    Ok((config, digest))
}

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
fn configure(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
