//! Who is calling. Authentication finds the key; whether it is still alive is decided in the append transaction (P8).

mod begin_session;
mod counting;
pub mod first_user;
pub mod guesses;
pub mod hashing;
pub mod invited;
pub mod key;
pub mod known_browser;
pub mod oidc;
pub mod password;
pub mod session;
pub mod sign_in;

use std::net::IpAddr;

use crate::core::principal::{Principal, Via};
use crate::core::state::ControlState;
use crate::log::writer::{WriteError, Writer};
use key::ApiKey;

/// A caller that could not be authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No key, or not one of ours.
    #[error("the key is missing or unknown")]
    Unauthenticated,
    /// The key cannot be looked up.
    #[error("looking a key up")]
    Unavailable(#[source] WriteError),
}

/// Finds the key behind a bearer token.
#[derive(Clone)]
pub struct Authenticator {
    writer: Writer,
}

impl Authenticator {
    /// An authenticator on the control state that `writer` publishes.
    #[must_use]
    pub fn new(writer: Writer) -> Self {
        Self { writer }
    }

    /// The principal behind a bearer token. A key that this node has not seen yet is looked for in the log once, with all that
    /// are asked for meanwhile, and without a place in the queue of appends: whoever invents keys keeps nobody from being recorded.
    pub async fn authenticate(&self, token: &str, via: Via, ip: Option<IpAddr>, read_only: bool) -> Result<Principal, AuthError> {
        let key = ApiKey::parse(token).ok_or(AuthError::Unauthenticated)?;
        let known = self.writer.fence().state();
        if let Some(principal) = find(&known, &key, via, ip, read_only) {
            return Ok(principal);
        }
        let fresh = self.writer.fresh().await.map_err(AuthError::Unavailable)?;
        find(fresh.state(), &key, via, ip, read_only).ok_or(AuthError::Unauthenticated)
    }
}

fn find(state: &ControlState, key: &ApiKey, via: Via, ip: Option<IpAddr>, read_only: bool) -> Option<Principal> {
    let credential = state.key_hashed(&key.hash())?;
    let created = &credential.created;
    Some(Principal {
        side: created.side,
        account: created.account.clone(),
        user: created.user.clone(),
        credential: created.credential.clone(),
        via,
        ip,
        read_only,
    })
}
