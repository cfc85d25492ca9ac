//! Exact sliding windows: in any window of length W at most N admissions (P5).
//!
//! A window is the list of the last N admission times. A call fits if fewer than N of them are younger than W.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::Micros;

/// So many of the newest admissions are kept however old they are, so that a limit of at most so many holds exactly also
/// when its window becomes longer.
const MAX_KEPT: usize = 32;

/// At most `admit` calls in any window of `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// At most so many calls.
    #[schemars(range(min = 1, max = Limit::MAX_COUNT))]
    pub admit: u32,
    /// In any window of this length.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub window_ms: u32,
}

impl Limit {
    /// Of lists of control state by one key: far beyond what anybody needs to see what to stop.
    pub const LISTS: Self = Self { admit: 600, window_ms: 60_000 };

    /// Largest N; the window's row holds 8 bytes for each.
    pub const MAX_COUNT: u32 = 10_000;

    /// Whether the numbers are in range. A limit that is not refuses to start (P12).
    #[must_use]
    pub fn is_valid(self) -> bool {
        (1..=Self::MAX_COUNT).contains(&self.admit) && (1..=86_400_000).contains(&self.window_ms)
    }

    /// Whether nothing that this one lets through is more than `other` lets through in a window of its own.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        let windows = other.window_ms.div_ceil(self.window_ms.max(1));
        u64::from(self.admit) * u64::from(windows) <= u64::from(other.admit)
    }

    fn window_us(self) -> i64 {
        i64::from(self.window_ms) * 1000
    }
}

/// The admissions of one limit key that are still young enough to count, and the newest of those that are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    taken: Vec<i64>,
}

/// A window row that is not a whole number of times in order.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("reading a limit window: {0} bytes are not an ordered list of times")]
pub struct UnreadableWindow(usize);

impl Window {
    /// Reads a stored row: times as big-endian i64, ascending.
    pub fn decode(bytes: &[u8]) -> Result<Self, UnreadableWindow> {
        let (times, rest) = bytes.as_chunks::<8>();
        let taken: Vec<i64> = times.iter().map(|time| i64::from_be_bytes(*time)).collect();
        if !rest.is_empty() || !taken.is_sorted() {
            return Err(UnreadableWindow(bytes.len()));
        }
        Ok(Self { taken })
    }

    /// The row to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.taken.iter().flat_map(|time| time.to_be_bytes()).collect()
    }

    /// None if a call fits at `now`, else how long until one does. A limit of zero is always full.
    #[must_use]
    pub fn full_for(&self, limit: Limit, now: Micros) -> Option<Duration> {
        let admit = limit.admit as usize;
        let first_that_counts = self.taken.len().checked_sub(admit)?;
        let Some(oldest_that_counts) = self.taken.get(first_that_counts) else {
            return Some(Duration::from_millis(limit.window_ms.into()));
        };
        let free_at = oldest_that_counts.saturating_add(limit.window_us());
        (free_at > now.0).then(|| Micros(free_at).since(now))
    }

    /// Takes a slot and forgets what no longer counts, but for the newest ones: they count if the window becomes longer.
    pub fn take(&mut self, limit: Limit, now: Micros) {
        let horizon = now.0.saturating_sub(limit.window_us());
        self.taken.push(now.0);
        let young = self.taken.partition_point(|time| *time <= horizon);
        self.taken.drain(..young.min(self.taken.len().saturating_sub(MAX_KEPT)));
    }

    /// How many slots are in use at `now`.
    #[must_use]
    pub fn used(&self, limit: Limit, now: Micros) -> usize {
        let horizon = now.0.saturating_sub(limit.window_us());
        self.taken.iter().filter(|time| **time > horizon).count()
    }
}
