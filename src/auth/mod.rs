//! Who is calling. Authentication finds the key; whether it is still alive is decided in the append transaction (P8).

mod begun;
mod counting;
pub mod guesses;
pub mod hashing;
pub mod invited;
pub mod key;
pub mod known;
pub mod oidc;
pub mod password;
pub mod session;
pub mod sign_in;
pub mod welcome;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::core::principal::{Principal, Via};
use crate::core::state::ControlState;
use crate::log::store::{Store, StoreError, Want};
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
    /// The log's head cannot be read.
    #[error("looking whether keys have changed")]
    Unreadable(#[source] StoreError),
}

/// Finds the key behind a bearer token.
#[derive(Clone)]
pub struct Authenticator {
    writer: Writer,
    store: Arc<dyn Store>,
    /// Turns in which the head is looked at; how many have begun.
    looks: Arc<Mutex<()>>,
    begun: Arc<AtomicU64>,
}

impl Authenticator {
    /// An authenticator on the control state that `writer` publishes, over the log in `store`.
    #[must_use]
    pub fn new(writer: Writer, store: Arc<dyn Store>) -> Self {
        Self { writer, store, looks: Arc::default(), begun: Arc::default() }
    }

    /// The principal behind a bearer token. A key that this node has not seen yet is looked for in the log room once. Of a
    /// key that is nobody's the writer does not hear, unless control state has moved: whoever invents keys keeps nobody
    /// from being recorded.
    pub async fn authenticate(&self, token: &str, via: Via, ip: Option<IpAddr>, read_only: bool) -> Result<Principal, AuthError> {
        let key = ApiKey::parse(token).ok_or(AuthError::Unauthenticated)?;
        let known = self.writer.fence().state();
        if let Some(principal) = find(&known, &key, via, ip, read_only) {
            return Ok(principal);
        }
        self.refresh().await?;
        find(&self.writer.fence().state(), &key, via, ip, read_only).ok_or(AuthError::Unauthenticated)
    }

    /// Brings this node's copy of control state to where the log is. All who ask while one looks share the next look.
    async fn refresh(&self) -> Result<(), AuthError> {
        let seen = self.begun.load(Ordering::SeqCst);
        let _turn = self.looks.lock().await;
        // One that began after this question came has answered it.
        if self.begun.load(Ordering::SeqCst) > seen {
            return Ok(());
        }
        self.begun.fetch_add(1, Ordering::SeqCst);
        let head = self.store.head().await.map_err(AuthError::Unreadable)?;
        if head.epoch > self.writer.fence().state().epoch {
            self.writer.write(Want::default(), |_| Ok(())).await.map_err(AuthError::Unavailable)?;
        }
        Ok(())
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
