//! What a start warns of, and `doctor` names: secrets that others can read, in files and on the network.
//!
//! INVARIANT: a warning stops nothing. What has to be replaced in an incident is replaced first, and closed after.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::Context;
use crate::app::local_admin::user_name;
use crate::config::Config;
use crate::core::scrub::scrub_text;
use crate::log::private::is_exposed;

/// Warns of everything that a server at this address gives away, in its log and in the lines that are answered.
pub(super) fn at_start(context: &Context, address: SocketAddr) -> Vec<String> {
    let warnings: Vec<String> = in_the_clear(&context.config, address).into_iter().chain(exposed(context)).collect();
    for warning in &warnings {
        tracing::warn!(warning, "a secret is exposed");
    }
    warnings.into_iter().map(|warning| format!("WARNING: {warning}")).collect()
}

/// Why keys and passwords can be read on their way to this address; nothing if they cannot, or if a proxy is named that they come
/// through.
pub(super) fn in_the_clear(config: &Config, address: SocketAddr) -> Option<String> {
    let is_local = address.ip().to_canonical().is_loopback();
    let is_https = config.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    if is_local || config.tls.is_some() || (is_https && !config.trusted_proxies.is_empty()) {
        return None;
    }
    Some(format!(
        "HTTP is served in the clear at {address}, which other machines reach: whoever is on the way reads keys and passwords. \
         Set [tls], or listen on 127.0.0.1 behind a proxy that speaks TLS (docs/operations.md, Serving other machines)"
    ))
}

/// Files with a secret that others than their owner may read, each with the command that closes it.
pub(super) fn exposed(context: &Context) -> Vec<String> {
    let files = secret_files(context);
    files.iter().filter(|path| is_exposed(path).unwrap_or(false)).map(|path| closed_by(path)).collect()
}

/// The key file, the certificate's key, issuers' secrets, and a configuration with a secret in it.
fn secret_files(context: &Context) -> Vec<PathBuf> {
    let (config, common) = (&context.config, &context.common);
    let issuers = config.sign_in.oidc.values().filter_map(|issuer| issuer.client_secret_file.clone());
    let certificate = config.tls.as_ref().map(|tls| tls.key.clone());
    let configuration = common.config.clone().or_else(|| common.data.as_ref().map(|dir| dir.join("forelog.toml")));
    let configuration = configuration.filter(|path| holds_secret(path, config));
    std::iter::once(config.key_file()).chain(certificate).chain(issuers).chain(configuration).collect()
}

/// Whether a secret of the configuration is in its file; it may be from the environment. An address without a password is none.
fn holds_secret(path: &Path, config: &Config) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let holds = |secret: &&SecretString| text.contains(secret.expose_secret());
    let urls = [&config.database_url, &config.vault_database_url];
    let mut urls = urls.into_iter().flatten().filter(|url| scrub_text(url.expose_secret()) != url.expose_secret());
    let issuers = config.sign_in.oidc.values().filter_map(|issuer| issuer.client_secret.as_ref());
    urls.any(|url| holds(&url)) || config.api_key.iter().chain(issuers).any(|secret| holds(&secret))
}

/// A file of root is read by a service through its group; any other by its owner alone.
fn closed_by(path: &Path) -> String {
    let path = path.display();
    let (file, process) = (std::fs::metadata(path.to_string()), std::fs::metadata("/proc/self"));
    let user = process.map_or(0, |process| process.uid());
    let command = match file {
        Ok(file) if file.uid() == 0 && user != 0 => {
            format!("chgrp {} {path} && chmod 640 {path}", user_name(user).unwrap_or_else(|| user.to_string()))
        }
        Ok(file) if file.uid() == 0 && file.gid() != 0 => format!("chmod 640 {path}"),
        _ => format!("chmod 600 {path}"),
    };
    format!("others than its owner may read {path}, which holds a secret: {command}")
}
