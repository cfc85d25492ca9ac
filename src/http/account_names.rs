//! The names of all accounts, as questions by name ask for them.
//!
//! INVARIANT: however many ask, they are read one at a time, and once in [`FRESH`] unless an account was made. A name never changes, so
//! what is known of one stays true.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;
use crate::log::vault::Vault;

/// How long names are known for, so that those that were away or forged are read again.
const FRESH: Duration = Duration::from_secs(30);

/// How long somebody waits while they are read for others.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names by account id.
pub type Names = Arc<BTreeMap<String, String>>;

/// What was read last.
#[derive(Default)]
pub struct AccountNames(Mutex<Option<Known>>);

struct Known {
    names: Names,
    /// How many accounts there were.
    accounts: usize,
    at: Micros,
}

impl AccountNames {
    /// All of them, for who knows of so many accounts.
    pub async fn get(&self, vault: &Vault, accounts: usize, now: Micros) -> Result<Names, Refusal> {
        let busy = |_| Refusal::new(Code::Overloaded, "The names of accounts are being read for others. Ask again in a moment.");
        let mut known = tokio::time::timeout(PATIENCE, self.0.lock()).await.map_err(busy)?;
        let is_fresh = |known: &&Known| known.accounts == accounts && now.since(known.at) <= FRESH;
        if let Some(known) = known.as_ref().filter(is_fresh) {
            return Ok(Arc::clone(&known.names));
        }
        let names = Arc::new(vault.account_names().await?);
        *known = Some(Known { names: Arc::clone(&names), accounts, at: now });
        Ok(names)
    }
}
