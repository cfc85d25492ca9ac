//! The tables within the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::auth::oidc::settings as oidc;
use crate::providers::compute::sim::Rehearsed;

/// How people sign in besides with a password.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignIn {
    /// Who may vouch for them with OpenID Connect, by the name that addresses and events have.
    pub oidc: BTreeMap<String, oidc::Settings>,
}

/// A certificate with its key. Both files are read again when they change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The chain, the server's own certificate first, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// Requests of one address.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Throttle {
    /// Refilled so many each second.
    pub per_second: u32,
    /// So many at once.
    pub burst: u32,
}

/// Where VMs are. A provider that is not named is not there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Providers {
    /// A simulated fleet.
    pub sim: Option<SimConfig>,
    /// QEMU on this host.
    pub qemu: Option<QemuConfig>,
}

/// The simulated fleet; it lies in `sim` in the data directory.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimConfig {
    /// Names of its machines.
    pub machines: Vec<String>,
    /// How it misbehaves, for a rehearsal.
    #[serde(default)]
    pub faults: Vec<Rehearsed>,
}

/// QEMU on this host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QemuConfig {
    /// Where the machines are; `qemu` in the data directory if absent.
    pub dir: Option<PathBuf>,
    /// The image that machines are made from.
    pub image: PathBuf,
}

/// Traces and metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// OTLP over HTTP, such as `http://127.0.0.1:4318`; nothing is sent if absent.
    pub endpoint: Option<String>,
    /// `service.name` of what is sent.
    pub service_name: String,
}

/// Connections of clients.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionsConfig {
    /// Most at a time; fewer if the process may not open so many files.
    pub total: usize,
    /// Most of one address, except of trusted proxies.
    pub per_address: usize,
    /// How long a request's headers may take, with the TLS handshake before them.
    pub head_ms: u64,
    /// How long a request's body may take.
    pub body_ms: u64,
    /// How long a connection without a request is kept.
    pub idle_ms: u64,
    /// How long a client may take none of its answer.
    pub stalled_ms: u64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { per_second: 50, burst: 200 }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { endpoint: None, service_name: "forelog".into() }
    }
}

impl Default for ConnectionsConfig {
    fn default() -> Self {
        Self { total: 4096, per_address: 256, head_ms: 10_000, body_ms: 30_000, idle_ms: 75_000, stalled_ms: 30_000 }
    }
}

impl ConnectionsConfig {
    /// What makes no sense, by its key.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let most = 1_000_000;
        let counts = [("connections.total", self.total), ("connections.per_address", self.per_address)];
        if let Some((key, count)) = counts.into_iter().find(|(_, count)| !(1..=most).contains(count)) {
            return Err((key, format!("is {count}, not within 1 … {most}")));
        }
        let times = [
            ("connections.head_ms", self.head_ms),
            ("connections.body_ms", self.body_ms),
            ("connections.idle_ms", self.idle_ms),
            ("connections.stalled_ms", self.stalled_ms),
        ];
        match times.into_iter().find(|(_, ms)| !(100..=600_000).contains(ms)) {
            Some((key, ms)) => Err((key, format!("is {ms}, not within 100 … 600000"))),
            None => Ok(()),
        }
    }
}
