//! Signing in with OpenID Connect: somebody else vouches for who a person is.
//!
//! ```text
//! button ▶ Attempt (sealed into a cookie) ▶ issuer ▶ callback: same browser, state, once ▶ code for token ▶ Claims
//!        ▶ judge: linked before, or an e-mail address that is believed ▶ the same session as after a password
//! ```
//!
//! INVARIANT: a person is known by (issuer, subject); an e-mail address links only where the operator believes the issuer
//! for its domain and the issuer has verified it; and nobody of one side ever becomes one of the other.

mod asking;
pub mod attempt;
pub mod callback;
pub mod decision;
pub mod fault;
mod former_users;
mod group_roles;
pub mod issuer;
mod linking;
mod provider_types;
pub mod settings;
mod token;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use openidconnect::RedirectUrl;
use secrecy::SecretString;

use self::issuer::Issuer;
use self::settings::Settings;
use crate::core::time::Clock;
use crate::outbound::{Outbound, OutboundError};

/// Issuers that cannot be used as they are configured.
#[derive(Debug, thiserror::Error)]
pub enum IssuersError {
    /// The file with a secret.
    #[error("reading the client secret {}", path.display())]
    Secret {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Where they are to send people back to.
    #[error("{0} is no address to be sent back to")]
    Redirect(String),
    /// The client that asks them.
    #[error("preparing the way to an issuer")]
    Outbound(#[from] OutboundError),
}

/// Everybody who may vouch for people.
#[derive(Default)]
pub struct Issuers(BTreeMap<String, Issuer>);

impl Issuers {
    /// The issuers that `settings` name, for a console that browsers reach at `base`. None of them is asked anything yet.
    pub fn open(settings: &BTreeMap<String, Settings>, base: &str, clock: &Arc<dyn Clock>) -> Result<Self, IssuersError> {
        if settings.is_empty() {
            return Ok(Self::default());
        }
        let outbound = Outbound::new(asking::RULES)?;
        let open = |(name, settings): (&String, &Settings)| {
            let redirect = format!("{}/console/sign-in/oidc/{name}/callback", base.trim_end_matches('/'));
            let redirect = RedirectUrl::new(redirect.clone()).map_err(|_| IssuersError::Redirect(redirect))?;
            let with = (settings.clone(), secret(settings)?);
            Ok((name.clone(), Issuer::new(name, with, redirect, &outbound, Arc::clone(clock))))
        };
        settings.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// The issuer of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Issuer> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Issuer> {
        self.0.values()
    }
}

fn secret(settings: &Settings) -> Result<Option<SecretString>, IssuersError> {
    let Some(path) = &settings.client_secret_file else { return Ok(settings.client_secret.clone()) };
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|source| IssuersError::Secret { path: path.clone(), source })?;
    Ok(Some(text.trim().to_owned().into()))
}
