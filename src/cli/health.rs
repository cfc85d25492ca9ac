//! `forelog health`: can the server of this configuration record calls, and stop them? For a container or a supervisor that has no other
//! client at hand.
//!
//! INVARIANT: over TLS it believes nobody but the holder of the certificate that the configuration names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::address;
use super::stdio::wire::dial;
use super::{Answer, CliError, Context};
use crate::app::rooms::RoomError;
use crate::app::socket;
use crate::config::Config;

/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read: more is not from us.
const MAX_SIZE: u64 = 64 * 1024;

const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What `health` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  forelog health --config forelog.toml\n  forelog health --data forelog-data --listen 127.0.0.1:7373"
)]
pub struct HealthArgs {
    /// Address and port of the server, if they differ from the configuration.
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub listen: Option<SocketAddr>,
}

/// Asks the server for its readiness.
pub async fn run(args: &HealthArgs, context: &Context) -> Result<Answer, CliError> {
    let address = served_at(context, args.listen).await?;
    let failed = |why: String| CliError::Unhealthy { address, why };
    let asked = tokio::time::timeout(TIMEOUT, ask(context, address)).await;
    let silent = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::ConnectionRefused => CliError::Silent(address),
        _ => failed(source.to_string()),
    };
    let answer = asked.map_err(|_| failed("it does not answer".into()))?.map_err(silent)?;
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split([' ', '\r']).next()).unwrap_or("no HTTP");
    if status != "200" {
        return Err(failed(format!("it answers {status}: {}", answer.lines().last().unwrap_or_default())));
    }
    let said: Value = answer.lines().last().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    let mut text = format!("{address} can record calls and stop them");
    if said["vault"] == "away" {
        text.push_str("; its vault is away, so only calls whose keys are in memory are made");
    }
    let document = json!({ "ready": true, "address": address, "can_stop": said["can_stop"], "vault": said["vault"] });
    Ok(Answer { document, text: text.into() })
}

/// Where the server is that is meant: as asked for or configured; with `--data` alone, where the one that serves this data has
/// said that it listens. Another one, which happens to be at the usual port, is not meant.
pub(super) async fn served_at(context: &Context, asked: Option<SocketAddr>) -> Result<SocketAddr, CliError> {
    let Context { config, common, .. } = context;
    let data = &config.data_dir;
    if common.data.is_some() && !data.is_dir() {
        return Err(RoomError::Nothing(data.clone()).into());
    }
    if asked.is_some() || common.data.is_none() || config.listen != Config::default().listen {
        return Ok(reachable(config.listen));
    }
    let address = match dial(data).await {
        Ok(_) => socket::address_of(data),
        Err(_) => None,
    };
    address.map(reachable).ok_or_else(|| {
        let text = "no server that can be reached by its socket serves the data in";
        let way = "start `forelog serve` on it, or name where the server is: `call` with --url, `health` with --listen";
        CliError::Usage(format!("{text} {}; {way}", data.display()))
    })
}

/// Where a server that listens everywhere is found from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(context: &Context, address: SocketAddr) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let Some(tls) = &context.config.tls else { return exchange(stream).await };
    let name = ServerName::IpAddress(address.ip().into());
    let connector = TlsConnector::from(Arc::new(trusting(&tls.certificate)?));
    exchange(connector.connect(name, stream).await?).await
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<String> {
    stream.write_all(REQUEST).await?;
    let mut answer = Vec::new();
    // A server that closes without saying so has said what it had to.
    match (&mut stream).take(MAX_SIZE).read_to_end(&mut answer).await {
        Err(error) if answer.is_empty() => return Err(error),
        _ => {}
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn trusting(certificate: &Path) -> std::io::Result<ClientConfig> {
    let expected = CertificateDer::from_pem_file(certificate).map_err(std::io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let pinned = Pinned { expected, provider };
    let config = versions.map_err(std::io::Error::other)?.dangerous().with_custom_certificate_verifier(Arc::new(pinned));
    Ok(config.with_no_client_auth())
}

/// One certificate, whatever name it is for and whoever has signed it.
#[derive(Debug)]
struct Pinned {
    expected: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.expected {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
