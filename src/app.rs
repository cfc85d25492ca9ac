//! The composition root: the only place that sees everything.
//!
//! Start: bind → seat → [`node::Node::start`] → socket → serve. Stop: not ready any more, and go on serving while load balancers notice → accept
//! nothing and answer what is under way, in the end with the running operation → [`node::Node::stop`].

mod clock;
mod data_files;
pub mod directory_lock;
mod files;
pub mod fleet;
mod key_file;
pub mod limits;
pub mod liveness;
pub mod local_admin;
pub mod local_switches;
pub mod mend;
pub mod node;
pub mod policies;
pub mod registry;
pub mod room_error;
pub mod rooms;
pub mod socket;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::directory_lock::{DirectoryLock, DirectoryLockError};
use self::local_admin::LocalAdminError;
use self::node::{Node, NodeError};
use self::socket::{Socket, SocketError};
use crate::auth::oidc::{Issuers, IssuersError};
use crate::auth::session::SessionError;
use crate::config::Config;
use crate::core::error_chain::error_chain;
use crate::core::time::{Clock, Entropy};
use crate::http::{self, ConnectionCaps, Http, Rate, SessionCaps, Settings, Tls, TlsError};

/// How long answers under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(3);

/// How long it may then take to tell whoever still waits that the operation runs. Streams end now; they would never by themselves.
const FAREWELL: Duration = Duration::from_secs(2);

/// A server that did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The address cannot be listened at.
    #[error("listening at {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The certificate cannot be served.
    #[error("serving over TLS")]
    Tls(#[from] TlsError),
    /// Somebody else has the data.
    #[error(transparent)]
    Seat(#[from] DirectoryLockError),
    /// The socket, of whoever has nothing else.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Nobody has said yet what is in force on the data.
    #[error("nobody has served this data yet, so no limits and no policies are in force")]
    NothingInForce,
    /// What is in force cannot be read.
    #[error(transparent)]
    LocalAdmin(#[from] LocalAdminError),
    /// The node behind it.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Whoever is to vouch for people.
    #[error(transparent)]
    Issuers(#[from] IssuersError),
    /// Nobody can be invited.
    #[error("inviting the first person")]
    Invitation(#[from] SessionError),
}

/// A server that serves.
pub struct App {
    address: SocketAddr,
    node: Node,
    http: Arc<Http>,
    stop: CancellationToken,
    tls: Option<Arc<Tls>>,
    serving: JoinHandle<std::io::Result<()>>,
    socket: Option<Socket>,
    directory_lock: DirectoryLock,
}

impl App {
    /// Starts everything that `config` names. Several of them share even files: what holds between nodes is tried on those, too.
    #[cfg(feature = "testing")]
    pub async fn start(config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, AppError> {
        let listener = Self::listen_on(Self::bind(config.listen)?)?;
        Self::start_on(listener, DirectoryLock::among_servers(&config.data_dir)?, config, clock, entropy).await
    }

    /// Takes a port before anything else is done.
    pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, AppError> {
        std::net::TcpListener::bind(address).map_err(|source| AppError::Listen { address, source })
    }

    /// Listens at a port that was taken.
    pub fn listen_on(bound: std::net::TcpListener) -> Result<TcpListener, AppError> {
        let address = bound.local_addr().unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let listen = || {
            bound.set_nonblocking(true)?;
            TcpListener::from_std(bound)
        };
        listen().map_err(|source| AppError::Listen { address, source })
    }

    /// Starts everything on a port and in a directory that were taken, in this order: whoever finds the port busy leaves the
    /// directory as it is.
    pub async fn start_on(
        listener: TcpListener,
        directory_lock: DirectoryLock,
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, AppError> {
        let address = listener.local_addr().map_err(|source| AppError::Listen { address: config.listen, source })?;
        let tls = match &config.tls {
            Some(files) => Some(Tls::open(files.certificate.clone(), files.key.clone()).await?),
            None => None,
        };
        let (node, http) = open(config, address, clock, entropy).await?;
        let stop = CancellationToken::new();
        if let Some(tls) = &tls {
            tokio::spawn(Arc::clone(tls).follow(stop.clone()));
        }
        let served = tls.as_ref().map(|tls| tls.served());
        let (router, connections) = (http::router(Arc::clone(&http)), Arc::clone(&http.connections));
        let public = http::serve(listener, router, served, connections, stop.clone().cancelled_owned());
        let (socket, local) = match listen_locally(config, &http, &stop) {
            Ok((socket, local)) => {
                if let Err(error) = socket.say_address(address) {
                    tracing::warn!(%error, "`forelog call` and `forelog health` find this server only with its address");
                }
                (Some(socket), Some(local))
            }
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "`forelog stdio` reaches this server only with --url");
                (None, None)
            }
        };
        let serving = tokio::spawn(async move {
            let local = async move { if let Some(local) = local { local.await } else { Ok(()) } };
            let (public, local) = tokio::join!(public, local);
            public.and(local)
        });
        Ok(Self { address, node, http, stop, tls, serving, socket, directory_lock })
    }

    /// Starts a node that is reached by its socket only, and has the data to itself. It is an agent's client that starts it, so
    /// it puts nothing in force: not what its environment says, nor anything else in the place of what a server is told (P15).
    pub async fn start_alone(config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, AppError> {
        let directory_lock = DirectoryLock::alone(&config.data_dir)?;
        if !liveness::is_in_force(config, Arc::clone(&clock), Arc::clone(&entropy)).await? {
            return Err(AppError::NothingInForce);
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (node, http) = open(config, address, clock, entropy).await?;
        let stop = CancellationToken::new();
        match listen_locally(config, &http, &stop) {
            Ok((socket, local)) => {
                let serving = tokio::spawn(local);
                Ok(Self { address, node, http, stop, tls: None, serving, socket: Some(socket), directory_lock })
            }
            Err(error) => {
                drop(http);
                node.stop().await;
                Err(error.into())
            }
        }
    }

    /// Where it listens, with the port that it got; port 0 if it is reached by its socket only.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Shows among the metrics how many lines of the log nobody read.
    pub fn show_lost_lines(&self, lost: Arc<AtomicU64>) {
        // Said once, by whoever started it.
        let _ = self.http.lost_lines.set(lost);
    }

    /// The node behind it.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The path of the link by which the first person of the staff comes in; none if there is one already.
    pub async fn invitation(&self) -> Result<Option<String>, AppError> {
        let token = self.http.sessions.invite_first().await?;
        Ok(token.map(|token| format!("/console/welcome/{}", token.reveal())))
    }

    /// Reads the certificate's files again, now.
    pub fn reload(&self) {
        if let Some(tls) = &self.tls {
            tls.reload_soon();
        }
    }

    /// Is not ready any more, and serves on.
    pub fn drain(&self) {
        self.http.drain();
    }

    /// Stops it, in the order that the head of this file tells.
    pub async fn shutdown(self) {
        let Self { node, http, stop, mut serving, socket, directory_lock, .. } = self;
        http.drain();
        stop.cancel();
        drop(socket);
        let mut ended = tokio::time::timeout(GRACE, &mut serving).await;
        if ended.is_err() {
            node.control.leaving.cancel();
            ended = tokio::time::timeout(FAREWELL, &mut serving).await;
        }
        match ended {
            Ok(Ok(Ok(()))) => {}
            Ok(ended) => tracing::error!(?ended, "serving did not end well"),
            Err(_) => serving.abort(),
        }
        drop(http);
        node.stop().await;
        drop(directory_lock);
    }
}

/// The node, and HTTP before it.
async fn open(
    config: &Config,
    address: SocketAddr,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<(Node, Arc<Http>), AppError> {
    let issuers = Issuers::open(&config.sign_in.oidc, &base(config, address), &clock)?;
    let node = Node::start(config, listens(config, address), clock, entropy).await?;
    let http = Http::new(Arc::clone(&node.control), node.authenticator.clone(), settings(config, address), issuers);
    Ok((node, http))
}

/// The way in from this machine, and what serves it.
fn listen_locally(
    config: &Config,
    http: &Arc<Http>,
    stop: &CancellationToken,
) -> Result<(Socket, impl Future<Output = std::io::Result<()>> + use<>), SocketError> {
    let (socket, listener) = Socket::listen(&config.data_dir)?;
    Ok((socket, http::local::serve(listener, http::local::router(Arc::clone(http)), stop.clone().cancelled_owned())))
}

/// An account has a quarter of all MCP sessions at most, so that no one takes every place.
fn session_caps(config: &Config) -> SessionCaps {
    let share = u32::try_from(config.mcp_sessions / 4).unwrap_or(u32::MAX).max(1);
    SessionCaps { total: config.mcp_sessions, per_account: share, ..SessionCaps::default() }
}

fn settings(config: &Config, address: SocketAddr) -> Settings {
    let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    let standard = Settings::default();
    let ours = (!address.ip().is_unspecified()).then(|| address.ip().to_string());
    let public = config.public_url.as_deref().and_then(host);
    let hosts = standard.allowed_hosts.into_iter().chain(ours).chain(public).chain(config.allowed_hosts.iter().cloned());
    // Checked when the configuration was read.
    let network = |text: &String| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(ipnet::IpNet::from));
    Settings {
        allowed_hosts: hosts.collect(),
        allowed_origins: config.allowed_origins.clone(),
        trusted_proxies: config.trusted_proxies.iter().filter_map(network).collect(),
        forwarding: config.forwarding,
        body_time: Duration::from_millis(config.connections.body_ms),
        connections: connections(config),
        rate: Rate { per_second: at_least_one(config.throttle.per_second), burst: at_least_one(config.throttle.burst) },
        wait: Duration::from_millis(config.instant_wait_ms),
        sessions: session_caps(config),
        public_url: config.public_url.clone(),
        tls: config.tls.is_some(),
        clear_loopback: address.ip().is_loopback() && config.tls.is_none() && !is_https(config.public_url.as_deref()),
        ..Settings::default()
    }
}

/// As configured, within the files that this process may open.
fn connections(config: &Config) -> ConnectionCaps {
    let asked = config.connections;
    let total = files::for_connections(asked.total);
    if total < asked.total {
        tracing::warn!(total, asked = asked.total, "the limit of open files allows fewer connections; raise it (LimitNOFILE)");
    }
    ConnectionCaps {
        total,
        // Whatever is allowed in all, one address does not get all of it.
        per_address: asked.per_address.min((total / 2).max(1)),
        head: Duration::from_millis(asked.head_ms),
        idle: Duration::from_millis(asked.idle_ms),
        stalled: Duration::from_millis(asked.stalled_ms),
    }
}

/// Where browsers reach it.
fn base(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"))
}

/// Where this node listens, if people reach it there: behind a proxy only the configuration can say.
fn listens(config: &Config, address: SocketAddr) -> Option<String> {
    let is_reached = !address.ip().is_unspecified() && config.trusted_proxies.is_empty();
    is_reached.then(|| base(config, address))
}

fn is_https(url: Option<&str>) -> bool {
    url.is_some_and(|url| url.starts_with("https://"))
}

/// The host of an address, with its port if it has one.
fn host(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    rest.split('/').next().map(str::to_owned)
}
