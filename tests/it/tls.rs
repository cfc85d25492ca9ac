//! HTTPS as clients of the real binary meet it: both versions of TLS, both of HTTP, a certificate that is renewed, and the
//! address of whoever holds the other end of the connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::demo::Demo;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A certificate for this machine, and the directory it was written to as an operator would have it.
pub struct Pair {
    dir: tempfile::TempDir,
    certificate: CertificateDer<'static>,
}

impl Pair {
    pub fn new() -> Self {
        let mut pair = Self { dir: tempfile::tempdir().expect("a directory"), certificate: CertificateDer::from(vec![]) };
        pair.renew();
        pair
    }

    /// Another certificate with another key, in the same files.
    fn renew(&mut self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).expect("a certificate");
        std::fs::write(self.key(), signing_key.serialize_pem()).expect("write the key");
        std::fs::write(self.chain(), cert.pem()).expect("write the certificate");
        self.certificate = cert.der().clone();
    }

    pub fn chain(&self) -> std::path::PathBuf {
        self.dir.path().join("chain.pem")
    }

    pub fn key(&self) -> std::path::PathBuf {
        self.dir.path().join("key.pem")
    }

    pub async fn demo(&self) -> Demo {
        let (chain, key) = (self.chain(), self.key());
        Demo::start_with(&[("FORELOG_TLS__CERTIFICATE", text(&chain)), ("FORELOG_TLS__KEY", text(&key))]).await
    }

    /// A client that trusts this certificate and no other.
    fn client(&self, version: &'static SupportedProtocolVersion, protocol: &'static str) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).expect("a version");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        Client { connector: Arc::new(config).into(), http2: protocol == "h2" }
    }
}

/// A client that makes a new connection for every request.
struct Client {
    connector: TlsConnector,
    http2: bool,
}

impl Client {
    /// The status and the body; an error if there is no connection to be had.
    async fn send(&self, request: http::request::Builder, body: &str) -> std::io::Result<(u16, String)> {
        let request = request.body(Full::<Bytes>::from(body.to_owned())).expect("a request");
        let address = request.uri().authority().expect("an address").to_string();
        let stream = TcpStream::connect(&address).await?;
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let stream = TokioIo::new(self.connector.connect(name, stream).await?);
        let answer = if self.http2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = http1::handshake(stream).await.map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            sender.send_request(host_first(request, &address)).await
        };
        let (head, body) = answer.map_err(std::io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        Ok((head.status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
    }

    async fn get(&self, url: &str, key: &str) -> std::io::Result<(u16, String)> {
        self.send(http::Request::get(url).header("authorization", format!("Bearer {key}")), "").await
    }
}

/// As HTTP/1.1 wants it: the path in the first line, the address in a header.
fn host_first(mut request: http::Request<Full<Bytes>>, address: &str) -> http::Request<Full<Bytes>> {
    let path = request.uri().path_and_query().expect("a path").as_str().parse().expect("a URI");
    *request.uri_mut() = path;
    request.headers_mut().insert("host", address.parse().expect("a header"));
    request
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[tokio::test]
async fn tls_serves_both_versions_and_records_who_holds_the_connection() {
    let pair = Pair::new();
    let demo = pair.demo().await;
    assert!(demo.mcp_url().starts_with("https://127.0.0.1:"), "{}", demo.mcp_url());
    for (version, protocol) in [(&TLS12, "http/1.1"), (&TLS13, "http/1.1"), (&TLS12, "h2"), (&TLS13, "h2")] {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": "vm_list", "arguments": {}, "_meta": meta });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = http::Request::post(demo.mcp_url())
            .header("authorization", format!("Bearer {}", demo.customer_key()))
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "vm_list")
            // Nobody is trusted, so this is what anybody may write.
            .header("x-forwarded-for", "203.0.113.9");
        let (status, body) = pair.client(version, protocol).send(request, &message.to_string()).await.expect("an answer");
        assert!(status == 200 && body.contains("\"result\""), "{version:?} {protocol}: {status} {body}");
    }
    let client = pair.client(&TLS13, "h2");
    assert_eq!(calls_from(&client, &demo, "127.0.0.1", 4).await, 4);
    assert_eq!(calls_from(&client, &demo, "203.0.113.9", 0).await, 0);
}

/// How many calls the customer made from `ip`, once there are `expected`.
#[tokio::test]
async fn tls_two_names_of_a_host_have_to_agree_over_http2() {
    let pair = Pair::new();
    let demo = pair.demo().await;
    let client = pair.client(&TLS13, "h2");
    let asks = async |host: Option<&str>| {
        let request = http::Request::get(format!("{}/api/v1/calls", demo.text("/base_url")));
        let request = request.header("authorization", format!("Bearer {}", demo.customer_key()));
        let request = host.into_iter().fold(request, |request, host| request.header("host", host));
        client.send(request, "").await.expect("an answer").0
    };
    let own = demo.text("/base_url").trim_start_matches("https://").to_owned();
    assert_eq!(asks(None).await, 200);
    assert_eq!(asks(Some(&own)).await, 200);
    // Each is a name of this server; which of them was meant cannot be told.
    assert_eq!(asks(Some("localhost")).await, 403);
}

async fn calls_from(client: &Client, demo: &Demo, ip: &str, expected: usize) -> usize {
    let url = format!("{}/api/v1/calls?tool=vm_list&ip={ip}", demo.text("/base_url"));
    let counted = tokio::time::timeout(TIMEOUT, async {
        loop {
            let (_, body) = client.get(&url, demo.customer_key()).await.expect("an answer");
            let found = serde_json::from_str::<Value>(&body).expect("a document")["items"].as_array().expect("items").len();
            if found >= expected {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    counted.await.expect("the calls to show")
}

#[tokio::test]
async fn tls_takes_over_a_renewed_certificate_and_keeps_a_good_one() {
    let mut pair = Pair::new();
    let demo = pair.demo().await;
    let url = format!("{}/healthz", demo.text("/base_url"));
    let first = pair.client(&TLS13, "h2");
    assert!(first.get(&url, "").await.is_ok());

    std::fs::write(pair.chain(), "half a file").expect("write");
    demo.signal("HUP");
    until(|| demo.log().contains("the old one stays")).await;
    assert!(first.get(&url, "").await.is_ok(), "what cannot be used replaced what can");

    pair.renew();
    demo.signal("HUP");
    let second = pair.client(&TLS13, "h2");
    until(|| demo.log().contains("a new certificate is served")).await;
    assert!(second.get(&url, "").await.is_ok());
    assert!(first.get(&url, "").await.is_err(), "the old certificate is still served");

    pair.renew();
    let third = pair.client(&TLS13, "h2");
    let without_a_signal = tokio::time::timeout(TIMEOUT, async {
        while third.get(&url, "").await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(without_a_signal.await.is_ok(), "the files changed and nobody looked");
}

#[tokio::test]
async fn tls_does_not_start_with_a_key_of_another_certificate() {
    let (one, other) = (Pair::new(), Pair::new());
    let data = tempfile::tempdir().expect("a directory");
    let ended = tokio::process::Command::new(env!("CARGO_BIN_EXE_forelog"))
        .args(["serve", "--create", "--listen", "127.0.0.1:0", "--data", text(data.path())])
        .env("FORELOG_TLS__CERTIFICATE", one.chain())
        .env("FORELOG_TLS__KEY", other.key())
        .output();
    let output = tokio::time::timeout(TIMEOUT, ended).await.expect("it ends").expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("chain.pem"), "{said}");
    assert!(!data.path().join("log.db").exists(), "something was recorded before the certificate was looked at");
}

async fn until(holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(TIMEOUT, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "it never happened");
}
