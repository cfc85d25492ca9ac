//! The clock and the randomness of tests: both are turned by hand and repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forelog::core::time::{Boot, Clock, Entropy, Micros};

/// A clock that a test turns.
#[derive(Default)]
pub struct TestClock {
    now: AtomicU64,
    elapsed: AtomicU64,
    /// Which start of its machine it is on, if it says that, and how long that had run when this clock began.
    boot: Option<(&'static str, Duration)>,
}

impl TestClock {
    /// A clock that stands at `now`.
    pub fn at(now: Micros) -> Arc<Self> {
        Arc::new(Self::new(now, None))
    }

    /// The same on a machine that says for how long it runs since which start.
    pub fn on(boot: &'static str, up: Duration, now: Micros) -> Arc<Self> {
        Arc::new(Self::new(now, Some((boot, up))))
    }

    fn new(now: Micros, boot: Option<(&'static str, Duration)>) -> Self {
        Self { now: AtomicU64::new(u64::try_from(now.0).expect("a time after 1970")), elapsed: AtomicU64::new(1), boot }
    }

    /// Time goes by.
    pub fn pass(&self, by: Duration) {
        let by = u64::try_from(by.as_micros()).expect("a short time");
        self.now.fetch_add(by, Ordering::SeqCst);
        self.elapsed.fetch_add(by, Ordering::SeqCst);
    }

    /// The wall clock's time in a while.
    pub fn after(&self, by: Duration) -> Micros {
        self.now().plus(by)
    }

    /// The wall clock jumps; no time goes by.
    pub fn jump(&self, by: i64) {
        // Wraps, which is how two's complement subtracts.
        self.now.fetch_add(by.cast_unsigned(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Micros {
        Micros(i64::try_from(self.now.load(Ordering::SeqCst)).expect("a time"))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed.load(Ordering::SeqCst))
    }

    fn boot(&self) -> Option<Boot> {
        self.boot.map(|(id, up)| Boot { id: id.into(), up: up + self.elapsed() })
    }
}

/// Randomness that repeats with its seed, and never gives the same bytes twice.
pub struct Seeded(AtomicU64);

impl Seeded {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed << 32)))
    }
}

impl Entropy for Seeded {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
