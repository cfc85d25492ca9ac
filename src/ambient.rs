//! The machine's own clock and randomness: the one place that touches them. Everything else is handed the ports.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::TryRng;

use crate::core::time::{Clock, Entropy, Micros};

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose elapsed time begins now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    fn now(&self) -> Micros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The randomness of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, into: &mut [u8]) {
        if let Err(error) = rand::rngs::SysRng.try_fill_bytes(into) {
            // Ids and keys from a known pattern would be worse than no process at all.
            tracing::error!(%error, "the operating system gives no randomness");
            std::process::abort();
        }
    }
}
