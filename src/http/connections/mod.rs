//! Connections: how many there may be, and how long each may keep this server waiting.
//!
//! ```text
//! accept ▶ place (in all, per address) ▶ TLS ▶ head ▶ [body ▶ answer ▶ idle ▶ head] …   every ▶ has a timer
//! ```
//!
//! INVARIANT: a connection holds a place from before its TLS handshake until its socket is closed, and there is no state in which
//! it may wait for its client without a timer.

mod connection_state;
mod early_answer;
mod exchange;
mod guarded;

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tower::Layer;

use super::settings::{ConnectionCaps, Settings};
use super::throttle::network;
use connection_state::ConnectionState;
pub(super) use exchange::keep;
use guarded::Guarded;

/// The connections of one listener.
#[derive(Debug, Default)]
pub struct Connections {
    caps: ConnectionCaps,
    exempt: Vec<IpNet>,
    open: Mutex<Open>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_network: HashMap<IpAddr, usize>,
}

impl Connections {
    /// No connection yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Arc<Self> {
        let exempt = settings.trusted_proxies.clone();
        Arc::new(Self { caps: settings.connections, exempt, ..Self::default() })
    }

    /// How many there may be, and for how long.
    #[must_use]
    pub fn caps(&self) -> ConnectionCaps {
        self.caps
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().total
    }

    /// How many were closed at once because there were too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let counted = (!self.exempt.iter().any(|proxy| proxy.contains(&peer))).then(|| network(peer));
        let mut open = self.lock();
        let of_network = counted.and_then(|network| open.by_network.get(&network)).copied().unwrap_or(0);
        if open.total >= self.caps.total || of_network >= self.caps.per_address {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        open.total += 1;
        if let Some(network) = counted {
            open.by_network.insert(network, of_network + 1);
        }
        Some(Place { connections: Arc::clone(self), counted })
    }
}

/// The place of one open connection.
#[derive(Debug)]
struct Place {
    connections: Arc<Connections>,
    /// The network that it counts for.
    counted: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.total = open.total.saturating_sub(1);
        let Some(network) = self.counted else { return };
        let left = open.by_network.get(&network).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            open.by_network.remove(&network);
        } else {
            open.by_network.insert(network, left);
        }
    }
}

/// Gives each accepted connection a place and its timers, or closes it.
#[derive(Clone)]
pub(super) struct Admission(pub Arc<Connections>);

impl Admission {
    fn admit<S>(&self, stream: TcpStream, service: S) -> io::Result<(Guarded, AddExtension<S, Arc<ConnectionState>>)> {
        // An event stream is many small writes: with the delay each waits for the last one's acknowledgement.
        stream.set_nodelay(true)?;
        let place = self.0.take(stream.peer_addr()?.ip().to_canonical());
        let place = place.ok_or_else(|| io::Error::other("too many connections"))?;
        let progress = Arc::new(ConnectionState::default());
        Ok((Guarded::new(stream, place, Arc::clone(&progress), self.0.caps), Extension(progress).layer(service)))
    }
}

impl<S> Accept<TcpStream, S> for Admission {
    type Stream = Guarded;
    type Service = AddExtension<S, Arc<ConnectionState>>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.admit(stream, service))
    }
}
