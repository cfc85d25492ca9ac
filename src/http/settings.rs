//! What can be configured of the HTTP side. The defaults serve one machine on its loopback address.

use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;

/// How the HTTP side behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Hosts that requests may be addressed to, with or without a port; a defence against DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// Browser origins that may use MCP and REST besides the server's own: `https://x:443`, or `http://localhost:*`.
    pub allowed_origins: Vec<String>,
    /// Proxies that are believed when they say whom they speak for.
    pub trusted_proxies: Vec<IpNet>,
    /// How they say it.
    pub forwarding: Forwarding,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How many connections there may be, and for how long.
    pub connections: ConnectionCaps,
    /// Requests that one address may make.
    pub rate: Rate,
    /// How long a caller waits for a result before it gets a running operation.
    pub wait: Duration,
    /// MCP sessions of clients older than 2026-07-28.
    pub sessions: SessionCaps,
    /// How clients reach it, if not at the host that they name.
    pub public_url: Option<String>,
    /// It speaks TLS itself.
    pub tls: bool,
    /// Served without TLS, and to this machine only: the console's cookie is then not Secure.
    pub clear_loopback: bool,
}

/// The header in which our proxies name the client. Only that one is read: a proxy that writes one passes on whatever
/// the client wrote into the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub enum Forwarding {
    /// The usual one.
    #[default]
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// RFC 7239.
    #[serde(rename = "forwarded")]
    Forwarded,
}

/// A rate of requests per client address.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// How many MCP sessions there may be; of one account and one key, the quotas say.
#[derive(Clone, Copy, Debug)]
pub struct SessionCaps {
    /// Of all callers.
    pub total: usize,
    /// Of one account, whatever its quota says.
    pub per_account: u32,
    /// A session that was not used for this long gives way when a cap is reached.
    pub idle: Duration,
    /// A session that was not used for this long is ended.
    pub keep_alive: Duration,
}

impl Default for SessionCaps {
    fn default() -> Self {
        Self { total: 4096, per_account: 1024, idle: Duration::from_mins(1), keep_alive: Duration::from_mins(30) }
    }
}

impl Default for Rate {
    fn default() -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self { per_second: at_least_one(100), burst: at_least_one(400) }
    }
}

impl Settings {
    /// Whether clients reach it over TLS, its own or a proxy's.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.tls || self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allowed_hosts: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarding: Forwarding::default(),
            body_limit: 1024 * 1024,
            body_time: Duration::from_secs(30),
            connections: ConnectionCaps::default(),
            rate: Rate::default(),
            wait: Duration::from_secs(25),
            sessions: SessionCaps::default(),
            public_url: None,
            tls: false,
            clear_loopback: false,
        }
    }
}

/// How many connections there may be, and how long each may take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionCaps {
    /// Most connections at a time.
    pub total: usize,
    /// Most connections of one address, or of one /64 of IPv6. Trusted proxies are exempt: they speak for many.
    pub per_address: usize,
    /// From a connection's beginning until its first request's headers are complete, TLS handshake included; later, from a
    /// request's first byte.
    pub head: Duration,
    /// How long a connection without a request is kept.
    pub idle: Duration,
    /// How long a client may take none of an answer.
    pub stalled: Duration,
}

impl Default for ConnectionCaps {
    fn default() -> Self {
        Self {
            total: 4096,
            per_address: 256,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stalled: Duration::from_secs(30),
        }
    }
}
