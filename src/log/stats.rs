//! What this node has done since it started, for its operator's machines. Counted, and never read to decide anything.
//!
//! INVARIANT: atomics only, so that counting waits for nobody; and no number is anybody's in particular (P9, P10).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Parts of a whole that a sum is kept in.
const PARTS: f64 = 1e6;

/// Entries of one batch.
const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Seconds of one commit.
const COMMITS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How many values were at most so large.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes and durations are neither negative nor huge"
    )]
    fn record(&self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add((value * PARTS) as u64, Ordering::Relaxed);
    }

    /// Each bound with the number of values up to it that are above the bound before; the last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(&self.counts).map(|(bound, count)| (bound, count.load(Ordering::Relaxed)))
    }

    /// All values together.
    #[expect(clippy::cast_precision_loss, reason = "a sum for a graph")]
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum.load(Ordering::Relaxed) as f64 / PARTS
    }
}

/// Counts by name, of names that are known beforehand.
#[derive(Debug)]
pub struct Tally<const N: usize>([(&'static str, AtomicU64); N]);

impl<const N: usize> Tally<N> {
    fn new(names: [&'static str; N]) -> Self {
        Self(names.map(|name| (name, AtomicU64::new(0))))
    }

    /// Counts one more of `name`.
    pub fn count(&self, name: &str) {
        if let Some((_, count)) = self.0.iter().find(|(known, _)| *known == name) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every name with its count.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, count)| (*name, count.load(Ordering::Relaxed)))
    }
}

/// The counts of one node.
#[derive(Debug)]
pub struct Stats {
    /// Entries of each batch.
    pub batches: Histogram,
    /// Seconds that each batch took from its first read to its commit.
    pub commits: Histogram,
    /// Batches that were not written.
    pub store_errors: AtomicU64,
    /// Entries that found the queue full.
    pub overloaded: AtomicU64,
    /// The clock could not be trusted in the newest batch.
    pub skewed: AtomicBool,
    /// The log's head is not what its events make it.
    pub pushed: AtomicBool,
    /// As much as a call writes was written, and no batch has failed since.
    pub can_record: AtomicBool,
    /// What stops calls could not be written when that was last tried, though a call could.
    pub cannot_stop: AtomicBool,
    /// Calls that ended after they were admitted, by status.
    pub ended: Tally<5>,
    /// Calls that another node or an earlier start left open, by what became of them.
    pub recovered: Tally<4>,
    /// Calls of unknown outcome that a provider was asked about, by its answer.
    pub reconciled: Tally<3>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            batches: Histogram::new(BATCHES),
            commits: Histogram::new(COMMITS),
            store_errors: AtomicU64::new(0),
            overloaded: AtomicU64::new(0),
            skewed: AtomicBool::new(false),
            pushed: AtomicBool::new(false),
            can_record: AtomicBool::new(false),
            cannot_stop: AtomicBool::new(false),
            ended: Tally::new(["succeeded", "failed", "cancelled", "timed_out", "unknown"]),
            recovered: Tally::new(["taken_over", "joined", "cancelled", "unknown"]),
            reconciled: Tally::new(["happened", "did_not_happen", "cannot_tell"]),
        }
    }
}

impl Stats {
    /// A batch is durable.
    #[expect(clippy::cast_precision_loss, reason = "a batch has few entries")]
    pub fn committed(&self, entries: usize, took: Duration) {
        self.batches.record(entries as f64);
        self.commits.record(took.as_secs_f64());
    }
}
