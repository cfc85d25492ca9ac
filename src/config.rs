//! What an operator can set: one validated struct from file, environment and flags, in this order.
//!
//! INVARIANT: a key that is unknown, or a value that makes no sense, refuses to start and names the key; a limit that
//! cannot be read never becomes "no limit" (P5, P12). Nothing else reads the environment.

mod errors;
mod tables;
mod toml;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use self::errors::{Origin, misread, place_of, slip_of};
use self::toml::Toml;
use crate::core::quota::Quotas;
use crate::core::secret_text::secret;
use crate::core::terms::{Limits, Terms};
use crate::http::Forwarding;
pub use tables::{ConnectionsConfig, Providers, QemuConfig, SignIn, SimConfig, Telemetry, Throttle, TlsConfig};

/// The commented example that `docs/configuration.md` speaks of.
#[cfg(feature = "testing")]
pub const EXAMPLE: &str = include_str!("../docs/forelog.toml");

/// First names of the keys that the environment may set, as `FORELOG_<KEY>`; deeper names follow after `__`.
pub const KEYS: [&str; 28] = [
    "data_dir",
    "database_url",
    "vault_database_url",
    "key_file",
    "listen",
    "public_url",
    "allowed_hosts",
    "allowed_origins",
    "tls",
    "trusted_proxies",
    "forwarding",
    "api_key",
    "policies_dir",
    "lease_ms",
    "drain_ms",
    "mcp_sessions",
    "limits",
    "quotas",
    "throttle",
    "connections",
    "providers",
    "telemetry",
    "sign_in",
    "instant_wait_ms",
    "staff_reads_shown_after_ms",
    "search_budget_ms",
    "approval_ms",
    "newcomer_ms",
];

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the three rooms, the key file and the providers keep what they have to keep.
    pub data_dir: PathBuf,
    /// PostgreSQL to use instead of files in `data_dir`.
    #[serde(deserialize_with = "secret")]
    pub database_url: Option<SecretString>,
    /// Another PostgreSQL for the vault alone.
    #[serde(deserialize_with = "secret")]
    pub vault_database_url: Option<SecretString>,
    /// The key-encryption key; `kek` in `data_dir` if absent.
    pub key_file: Option<PathBuf>,
    /// Where HTTP is served; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How clients reach it, if not at `listen`.
    pub public_url: Option<String>,
    /// `Host` values that are served besides `listen` and `public_url`.
    pub allowed_hosts: Vec<String>,
    /// `Origin` values that are served besides our own.
    pub allowed_origins: Vec<String>,
    /// The certificate that HTTP is served with; without one it is served in the clear.
    pub tls: Option<TlsConfig>,
    /// Networks of the proxies that are believed when they name the client.
    pub trusted_proxies: Vec<String>,
    /// The header in which they name it.
    pub forwarding: Forwarding,
    /// The key that `forelog stdio` works with.
    #[serde(deserialize_with = "secret")]
    pub api_key: Option<SecretString>,
    /// Policies (`*.cedar`, `cases.toml`); the built-in set if absent.
    pub policies_dir: Option<PathBuf>,
    /// A node that has not renewed its lease for this long starts nothing.
    pub lease_ms: u64,
    /// How long a server that is told to stop goes on serving, not ready, before it accepts nothing any more.
    pub drain_ms: u64,
    /// How long a caller waits for a result before it gets a running operation.
    pub instant_wait_ms: u64,
    /// When an account is told that staff read its log: an investigation may have to be kept from it for a while.
    pub staff_reads_shown_after_ms: u64,
    /// How long one look into the record of calls may take.
    pub search_budget_ms: u64,
    /// How long a held call waits for a person.
    pub approval_ms: u64,
    /// Where it takes two people, somebody who was invited counts beside who invited them after this long.
    pub newcomer_ms: u64,
    /// Most MCP sessions at a time.
    pub mcp_sessions: usize,
    /// Sliding windows.
    pub limits: Limits,
    /// How much an account and a key may have at a time.
    pub quotas: Quotas,
    /// Per address, before authentication.
    pub throttle: Throttle,
    /// Connections of clients, before and after TLS.
    pub connections: ConnectionsConfig,
    /// Where VMs are.
    pub providers: Providers,
    /// Traces and metrics.
    pub telemetry: Telemetry,
    /// How people sign in besides with a password.
    pub sign_in: SignIn,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("forelog-data"),
            database_url: None,
            vault_database_url: None,
            key_file: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 7373)),
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            tls: None,
            trusted_proxies: Vec::new(),
            forwarding: Forwarding::default(),
            api_key: None,
            policies_dir: None,
            lease_ms: 3_000,
            drain_ms: 0,
            instant_wait_ms: 25_000,
            staff_reads_shown_after_ms: 0,
            search_budget_ms: 5_000,
            approval_ms: 86_400_000,
            newcomer_ms: 7 * 86_400_000,
            mcp_sessions: 1_000,
            limits: Limits::default(),
            quotas: Quotas::default(),
            throttle: Throttle::default(),
            connections: ConnectionsConfig::default(),
            providers: Providers::default(),
            telemetry: Telemetry::default(),
            sign_in: SignIn::default(),
        }
    }
}

/// What flags set; an absent one leaves file and environment alone.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flags {
    /// See [`Config::data_dir`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// See [`Config::listen`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// Lists and tables within a value of the environment.
const NESTED: usize = 64;

/// A configuration that nothing is started with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading the configuration file {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key is unknown or of the wrong type.
    #[error("reading the configuration: {0}")]
    Shape(String),
    /// A value makes no sense.
    #[error("{place}the configuration key `{key}` {why}")]
    Value {
        /// Where it is set, with what parts it from the rest; empty if that is not known.
        place: String,
        /// Which.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl ConfigError {
    /// A value that makes no sense, wherever it is set.
    fn value((key, why): (&'static str, String)) -> Self {
        Self::Value { place: String::new(), key, why }
    }
}

impl Config {
    /// Reads file, environment and flags, and checks them.
    pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Self, ConfigError> {
        // Read here, because a file that is missing must not look like an empty one.
        let read =
            |path: &Path| std::fs::read_to_string(path).map_err(|source| ConfigError::File { path: path.to_owned(), source });
        let text = file.map(read).transpose()?;
        let origin = file.zip(text.as_deref()).map(|(path, text)| Origin { path, text });
        let figment = text.as_deref().map_or_else(Figment::new, |text| Figment::new().merge(Toml::string(text)));
        if let Some(slip) = Env::prefixed("FORELOG_").split("__").iter().find_map(|(key, _)| slip_of(key.as_str(), &KEYS)) {
            return Err(ConfigError::Shape(slip));
        }
        let environment = Env::prefixed("FORELOG_").split("__").filter(|key| {
            let name = key.as_str().to_ascii_lowercase();
            KEYS.contains(&name.split('.').next().unwrap_or_default())
        });
        // They are parsed as lists and tables, one within the other.
        for (key, value) in environment.iter() {
            let name = key.as_str().to_ascii_lowercase();
            let key = KEYS.iter().find(|known| name.split('.').next() == Some(known)).copied().unwrap_or_default();
            let opened = value.chars().filter(|sign| matches!(sign, '[' | '{')).count();
            ensure(opened <= NESTED, key, || format!("has more than {NESTED} lists and tables in the environment"))?;
        }
        Self::read(&figment.merge(environment).merge(Serialized::defaults(flags)), origin)
    }

    /// Reads a configuration from text alone.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::read(&Figment::new().merge(Toml::string(text)), None)
    }

    fn read(figment: &Figment, origin: Option<Origin<'_>>) -> Result<Self, ConfigError> {
        let config: Self = figment.extract().map_err(|error| ConfigError::Shape(misread(error, origin)))?;
        config.check().map_err(|error| match error {
            ConfigError::Value { key, why, .. } => ConfigError::Value { place: place_of(key, figment, origin), key, why },
            other => other,
        })?;
        Ok(config)
    }

    /// Refuses values that make no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.terms().check().map_err(ConfigError::value)?;
        within("lease_ms", self.lease_ms, 500..=60_000)?;
        within("drain_ms", self.drain_ms, 0..=300_000)?;
        within("instant_wait_ms", self.instant_wait_ms, 0..=300_000)?;
        within("search_budget_ms", self.search_budget_ms, 10..=120_000)?;
        within("mcp_sessions", u64::try_from(self.mcp_sessions).unwrap_or(u64::MAX), 1..=100_000)?;
        within("throttle.per_second", self.throttle.per_second.into(), 1..=100_000)?;
        within("throttle.burst", self.throttle.burst.into(), 1..=100_000)?;
        self.connections.check().map_err(ConfigError::value)?;
        for origin in &self.allowed_origins {
            let why = || format!("holds {origin:?}, which is no origin such as https://app.example.com or http://localhost:*");
            ensure(crate::http::is_origin(origin), "allowed_origins", why)?;
        }
        for network in &self.trusted_proxies {
            let known = network.parse::<ipnet::IpNet>().is_ok() || network.parse::<std::net::IpAddr>().is_ok();
            ensure(known, "trusted_proxies", || format!("holds {network:?}, which is neither an address nor a network"))?;
        }
        for (key, url) in [("database_url", &self.database_url), ("vault_database_url", &self.vault_database_url)] {
            let fits = url.as_ref().is_none_or(|url| is_postgres(url.expose_secret()));
            ensure(fits, key, || "does not begin with postgres://; leave it out to keep files in data_dir".into())?;
        }
        for (key, url) in [("public_url", &self.public_url), ("telemetry.endpoint", &self.telemetry.endpoint)] {
            let fits = url.as_ref().is_none_or(|url| url.starts_with("http://") || url.starts_with("https://"));
            ensure(fits, key, || "is not an http:// or https:// address".into())?;
        }
        for (name, issuer) in &self.sign_in.oidc {
            issuer.check(name).map_err(|why| ConfigError::value(("sign_in.oidc", why)))?;
            let is_reached = self.public_url.is_some() || !self.listen.ip().is_unspecified();
            ensure(is_reached, "sign_in.oidc", || "needs public_url, to which people are sent back".into())?;
        }
        Ok(())
    }

    /// What the first start of a log records, and what binds is compared with.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            limits: self.limits,
            quotas: self.quotas,
            approval_ms: self.approval_ms,
            newcomer_ms: self.newcomer_ms,
            staff_reads_shown_after_ms: self.staff_reads_shown_after_ms,
        }
    }

    /// How long a lease lasts.
    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// How long it drains.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// Where the key-encryption key is.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.data_dir.join("kek"))
    }
}

fn ensure(holds: bool, key: &'static str, why: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::value((key, why()))) }
}

fn within(key: &'static str, value: u64, range: RangeInclusive<u64>) -> Result<(), ConfigError> {
    ensure(range.contains(&value), key, || format!("is {value}, not within {} … {}", range.start(), range.end()))
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}
