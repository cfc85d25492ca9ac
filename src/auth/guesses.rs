//! How often a password may be guessed: per address and per e-mail address, each on its own.
//!
//! INVARIANT: an attempt is counted before the password is looked at, whether the person exists or not. The counts are this
//! node's own and in memory: they slow guessing down, and nothing is admitted by them that a password would not admit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::core::limit::{Limit, Window};
use crate::core::time::Micros;

/// Attempts of one address.
const PER_ADDRESS: Limit = Limit { admit: 30, window_ms: 10 * 60 * 1000 };

/// Attempts on one e-mail address, wherever they come from.
const PER_EMAIL: Limit = Limit { admit: 10, window_ms: 10 * 60 * 1000 };

/// More names than this are not kept: those whose window is empty go first, then all.
const MOST: usize = 20_000;

/// The attempts that still count.
#[derive(Debug, Default)]
pub struct Guesses {
    taken: Mutex<HashMap<String, (Limit, Window)>>,
}

impl Guesses {
    /// Counts an attempt, or says how long to wait until there may be one.
    pub fn attempt(&self, address: &str, email: &str, now: Micros) -> Result<(), Duration> {
        self.take(&[(format!("address {address}"), PER_ADDRESS), (format!("email {email}"), PER_EMAIL)], now)
    }

    /// The same where nobody says who they are: that is for an issuer to say.
    pub fn from_address(&self, address: &str, now: Micros) -> Result<(), Duration> {
        self.take(&[(format!("address {address}"), PER_ADDRESS)], now)
    }

    fn take(&self, names: &[(String, Limit)], now: Micros) -> Result<(), Duration> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut taken, now);
        let full = names.iter().filter_map(|(name, limit)| taken.get(name)?.1.full_for(*limit, now)).max();
        if let Some(wait) = full {
            return Err(wait);
        }
        for (name, limit) in names {
            taken.entry(name.clone()).or_insert_with(|| (*limit, Window::default())).1.take(*limit, now);
        }
        Ok(())
    }
}

fn forget(taken: &mut HashMap<String, (Limit, Window)>, now: Micros) {
    if taken.len() < MOST {
        return;
    }
    taken.retain(|_, (limit, window)| window.used(*limit, now) > 0);
    if taken.len() >= MOST {
        taken.clear();
    }
}
