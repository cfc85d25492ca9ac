//! Limits downloads of exports: each download makes the export again to check its digest, which costs as much as making it did.
//!
//! INVARIANT: an account has a bound on downloads at a time and per ten minutes on this node, aborted ones included. One
//! account's downloads take nothing from another's.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::core::code::Code;
use crate::core::id::AccountId;
use crate::core::limit::{Limit, Window};
use crate::core::refusal::Refusal;
use crate::core::time::Micros;

/// Counted out at the same time.
const MAX_CONCURRENT: usize = 2;

/// Counted out at most in any while, those that were broken off too.
const RATE: Limit = Limit { admit: 60, window_ms: 600_000 };

/// When to come again while others are counted out.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is counted out on this node, by account.
#[derive(Default)]
pub struct DownloadLimiter(Mutex<BTreeMap<AccountId, Account>>);

#[derive(Default)]
struct Account {
    running: usize,
    begun: Window,
}

/// One that runs, until it is dropped.
pub struct DownloadSlot<'a> {
    all: &'a DownloadLimiter,
    account: AccountId,
}

impl DownloadLimiter {
    /// Begins to count one out, or says when there may be another.
    pub fn begin(&self, account: &AccountId, now: Micros) -> Result<DownloadSlot<'_>, Refusal> {
        let mut all = self.lock();
        all.retain(|_, of| of.running > 0 || of.begun.used(RATE, now) > 0);
        let of = all.entry(account.clone()).or_default();
        let wait = if of.running >= MAX_CONCURRENT { Some(RETRY_AFTER) } else { of.begun.full_for(RATE, now) };
        if let Some(wait) = wait {
            return Err(Refusal::new(Code::RateLimited, "The account downloads too much at a time.").retry_after(wait));
        }
        of.begun.take(RATE, now);
        of.running += 1;
        Ok(DownloadSlot { all: self, account: account.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AccountId, Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DownloadSlot<'_> {
    fn drop(&mut self) {
        if let Some(of) = self.all.lock().get_mut(&self.account) {
            of.running = of.running.saturating_sub(1);
        }
    }
}
