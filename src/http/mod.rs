//! The HTTP side. It authenticates, hands every call to [`crate::control::Control::submit`], and decides nothing itself.
//!
//! ```text
//! client address ▶ security headers ▶ throttle per address ▶ Host ▶ (Origin) ▶ bearer ▶ endpoint ▶ Door ▶ control
//! ```
//!
//! The console (`console/`) reads a cookie instead of a bearer token, and answers HTML.
//!
//! INVARIANT: only the probes, `/metrics`, `/api/v1/openapi.json` and the console's way in answer a caller that is not
//! authenticated, and no answer to a program is plain text or tells more than the one error body of DESIGN §7.

pub mod api;
mod asked;
mod body;
mod caller;
#[cfg(feature = "conformance")]
pub mod conformance;
mod console;
mod counts;
mod door;
mod exports;
mod forwarded;
mod gate;
mod health;
mod live;
pub mod mcp;
mod metrics;
mod problem;
mod settings;
mod throttle;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::net::TcpListener;

use crate::auth::Authenticator;
use crate::auth::oidc::Issuers;
use crate::auth::session::Sessions;
use crate::control::Control;
pub use counts::Counts;
pub use door::Door;
pub use settings::{Forwarding, Rate, SessionCaps, Settings};
pub use tls::{Tls, TlsError};

/// What every endpoint reaches.
pub struct Http {
    /// Where calls go in.
    pub door: Arc<Door>,
    /// Finds the key behind a bearer token.
    pub authenticator: Authenticator,
    /// How it was configured.
    pub settings: Settings,
    /// Who is signed in to the console.
    pub sessions: Sessions,
    /// Who may vouch for people.
    pub issuers: Issuers,
    /// Who has watched what until when.
    watches: live::Watches,
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
        let door = Arc::new(Door::new(control, settings.wait));
        let mcp = mcp::Mcp::new(&door, &settings);
        let (watches, draining) = (live::Watches::default(), AtomicBool::new(false));
        Arc::new(Self { door, authenticator, settings, sessions, issuers, watches, mcp, draining })
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
        .nest("/api/v1", api::router())
        .merge(mcp::router())
        .merge(console::router(&http))
        .layer(from_fn_with_state(Arc::clone(&http), gate::check_host));
    let routes = open.merge(hosted).fallback(problem::no_such_path).method_not_allowed_fallback(problem::no_such_method);
    throttle::guard(routes, http.settings.rate)
        .layer(from_fn(gate::harden))
        .layer(from_fn_with_state(Arc::clone(&http), gate::part))
        .layer(from_fn_with_state(Arc::clone(&http), gate::locate))
        .with_state(http)
}

/// Serves `router`, over TLS if there is a certificate, until `stop` resolves, then lets what runs end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let handle = Handle::new();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    // An event stream is many small writes: with the delay each waits for the last one's acknowledgement.
    let server = axum_server::from_tcp(listener.into_std()?)?.handle(handle.clone()).acceptor(NoDelayAcceptor::new());
    let stopping = tokio::spawn(async move {
        stop.await;
        handle.graceful_shutdown(None);
    });
    let ended = match tls {
        Some(config) => server.map(|plain| RustlsAcceptor::new(config).acceptor(plain)).serve(service).await,
        None => server.serve(service).await,
    };
    stopping.abort();
    ended
}
