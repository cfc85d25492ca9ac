//! The machine's own clock and randomness: the one place that touches them. Everything else is handed the ports.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::Rng;

use crate::core::time::{Boot, Clock, Entropy, Micros};

/// Where the kernel says which start of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The clock of this machine.
#[derive(Clone, Debug)]
pub struct SystemClock {
    started: Instant,
    boot: Option<Arc<str>>,
}

impl SystemClock {
    /// A clock whose elapsed time begins now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    pub fn start() -> Self {
        let boot = std::fs::read_to_string(BOOT_ID).ok().map(|id| Arc::from(id.trim()));
        Self { started: Instant::now(), boot }
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

    fn is_real(&self) -> bool {
        true
    }

    fn boot(&self) -> Option<Boot> {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let up = Duration::new(u64::try_from(up.tv_sec).ok()?, u32::try_from(up.tv_nsec).ok()?);
        Some(Boot { id: Arc::clone(self.boot.as_ref()?), up })
    }
}

/// The randomness of the operating system, stretched: a ChaCha generator for each thread that the system seeds, and seeds
/// again after every 64 KiB. One system call for each of the dozen numbers that a call needs would cost more than the rest
/// of sealing it.
#[derive(Clone, Copy, Debug)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the randomness that everybody else is handed")]
    fn fill(&self, into: &mut [u8]) {
        rand::rng().fill_bytes(into);
    }
}
