//! The HTTP side. It authenticates, hands every call to [`crate::control::Control::submit`], and decides nothing itself.
//!
//! ```text
//! connection ▶ client address ▶ security headers ▶ CORS ▶ throttle per address ▶ Host ▶ (Origin) ▶ bearer ▶ endpoint ▶ Gateway ▶ control
//! ```
//!
//! The server's own socket (`local.rs`) begins at the endpoint of MCP.
//!
//! The console (`console/`) reads a cookie instead of a bearer token, and answers HTML.
//!
//! INVARIANT: only the probes, `/metrics`, `/api/v1`, `/api/v1/openapi.json` and the console's way in answer a caller that is not
//! authenticated, and no answer to a program is plain text or tells more than the one error body ([`crate::core::refusal`]).

mod accept;
mod account_names;
mod account_search;
pub mod api;
mod bearer;
mod body;
mod body_budget;
mod call_filters;
mod caller;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connections;
mod console;
mod cors;
mod counts;
mod download_limiter;
mod event_filters;
mod exports;
mod forwarded;
mod gateway;
mod health;
mod impact;
mod in_force;
mod ingress;
pub mod live;
pub mod local;
pub mod mcp;
mod metrics;
mod open_approvals;
mod origin;
mod problem;
mod query;
mod questions;
mod recheck;
mod settings;
mod single_flight;
mod throttle;
mod tls;
mod url_text;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;

use crate::auth::Authenticator;
use crate::auth::oidc::Issuers;
use crate::auth::session::Sessions;
use crate::control::Control;
use connections::Admission;
pub use connections::Connections;
pub use gateway::Gateway;
pub use origin::is_origin;
pub use settings::{ConnectionCaps, Forwarding, Rate, SessionCaps, Settings};
pub use tls::{Tls, TlsError, Validity, validity};

/// What every endpoint reaches.
pub struct Http {
    /// Where calls go in.
    pub gateway: Arc<Gateway>,
    /// Finds the key behind a bearer token.
    pub authenticator: Authenticator,
    /// How it was configured.
    pub settings: Settings,
    /// Who is signed in to the console.
    pub sessions: Sessions,
    /// Who may vouch for people.
    pub issuers: Issuers,
    /// Who is connected.
    pub connections: Arc<Connections>,
    /// Lines of the log that nobody read, if somebody counts them.
    pub lost_lines: OnceLock<Arc<AtomicU64>>,
    /// What of requests' bodies is in memory.
    bodies: body_budget::BodyBudget,
    /// The page of metrics.
    scraped: single_flight::SingleFlight<bytes::Bytes>,
    /// Documents that never change.
    api: api::Described,
    /// Who has watched what until when.
    watches: live::Watches,
    /// The names of all accounts.
    account_names: account_names::AccountNames,
    /// What staff asked a moment ago.
    questions: questions::Questions,
    /// The calls that wait for a person, as pages count them.
    open_approvals: open_approvals::OpenApprovals,
    /// What is counted out for downloads.
    recounts: download_limiter::DownloadLimiter,
    mcp: mcp::Mcp,
    draining: AtomicBool,
}

impl Http {
    /// The HTTP side of `control`.
    #[must_use]
    pub fn new(control: Arc<Control>, authenticator: Authenticator, settings: Settings, issuers: Issuers) -> Arc<Self> {
        let ports = &control.ports;
        let (writer, vault) = (ports.writer.clone(), Arc::clone(&ports.reader.vault));
        let sessions = Sessions::new(writer, vault, Arc::clone(&ports.clock), Arc::clone(&ports.entropy));
        let gateway = Arc::new(Gateway::new(control, settings.wait));
        let mcp = mcp::Mcp::new(&gateway, &settings);
        let connections = Connections::new(&settings);
        let (watches, recounts, draining) =
            (live::Watches::default(), download_limiter::DownloadLimiter::default(), AtomicBool::new(false));
        let lost_lines = OnceLock::new();
        Arc::new(Self {
            gateway,
            authenticator,
            settings,
            sessions,
            issuers,
            connections,
            lost_lines,
            bodies: body_budget::BodyBudget::default(),
            account_names: account_names::AccountNames::default(),
            questions: questions::Questions::default(),
            scraped: single_flight::SingleFlight::default(),
            api: api::Described::default(),
            watches,
            open_approvals: open_approvals::OpenApprovals::default(),
            recounts,
            mcp,
            draining,
        })
    }

    /// From now on this node is not ready, and each answer ends its connection, so that the next request goes elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}

/// Every route, and what stands before it. Must be called within a runtime.
pub fn router(http: Arc<Http>) -> Router {
    let open = Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready));
    let hosted = Router::new()
        .route("/metrics", get(metrics::metrics))
        .nest("/api/v1", api::router(&http).layer(from_fn(url_text::check)))
        // What is nested has everything below this path, and not the path itself with a slash at its end.
        .route("/api/v1/", get(api::index))
        .merge(mcp::router())
        .merge(console::router(&http))
        .layer(from_fn_with_state(Arc::clone(&http), ingress::check_host));
    let routes = open.merge(hosted).fallback(problem::no_such_path).method_not_allowed_fallback(problem::no_such_method);
    throttle::guard(routes, http.settings.rate, Arc::clone(http.gateway.control().ports.fence()))
        .layer(from_fn_with_state(Arc::clone(&http), cors::share))
        .layer(ingress::harden())
        .layer(from_fn_with_state(Arc::clone(&http), ingress::part))
        .layer(from_fn_with_state(Arc::clone(&http), ingress::locate))
        .layer(from_fn(connections::keep))
        .with_state(http)
}

/// Streams of one HTTP/2 connection at a time.
const STREAMS: u32 = 100;

/// How much of a body that nobody reads yet, or of all those of a connection, lies here. Whatever is read is counted (`body_budget.rs`).
const UNREAD_OF_STREAM: u32 = 64 * 1024;
const UNREAD: u32 = 128 * 1024;

/// How much of the headers of a request, or of the answers to a connection that takes none, is held in memory.
const HEADERS: usize = 128 * 1024;
const UNSENT: usize = 64 * 1024;

/// How often it is asked whether the other end of an HTTP/2 connection is still there.
const PING: Duration = Duration::from_secs(30);

/// Serves `router`, over TLS if there is a certificate, until `stop` resolves, then lets what runs end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
    connections: Arc<Connections>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let handle = Handle::new();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let handshake = connections.caps().head;
    let mut server = axum_server::from_tcp(listener.into_std()?)?.handle(handle.clone()).acceptor(Admission(connections));
    // hyper's own timers stay off: they know nothing of a connection that says nothing, nor of HTTP/2.
    server.http_builder().http1().header_read_timeout(None).max_buf_size(HEADERS);
    server
        .http_builder()
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(UNREAD_OF_STREAM)
        .initial_connection_window_size(UNREAD)
        .max_send_buf_size(UNSENT);
    let stopping = tokio::spawn(async move {
        stop.await;
        handle.graceful_shutdown(None);
    });
    let over_tls = |config| RustlsAcceptor::new(config).handshake_timeout(handshake);
    let ended = match tls {
        Some(config) => server.map(|plain| over_tls(config).acceptor(plain)).serve(service).await,
        None => server.serve(service).await,
    };
    stopping.abort();
    ended
}
