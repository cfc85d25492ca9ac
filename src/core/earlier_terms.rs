//! Numbers of the terms that stood before those in force, as long as they count beside them.
//!
//! ```text
//! newcomer_ms:                 7 days ───────┊ 0 (set by one person) ──────────────────────
//! who came counts after:       7 days ───────┊─────────── 7 days ────────────┊ 0 ──────────
//! staff_reads_shown_after_ms:  0 ────────────┊ 1 year ─────────────────────────────────────
//! an account is told:          what was written before ┊ is told all the same
//! ```
//!
//! INVARIANT: nobody gains by setting a number what waiting under the number before would not have given them: a shorter
//! `newcomer_ms` counts once the longer one has passed. And what an account was told of stays told: an event is told by the
//! shortest `staff_reads_shown_after_ms` that was in force since it was written. There are only so many earlier numbers; if
//! there were more, they are taken together so that newcomers wait longer, and accounts are told sooner.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::terms::Terms;
use super::time::Micros;

/// Most earlier numbers of a kind that are kept.
const MAX_COUNT: usize = 16;

/// A number that was in force until some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EarlierValue {
    ms: u64,
    until: Micros,
}

impl EarlierValue {
    fn wait(self) -> Duration {
        Duration::from_millis(self.ms)
    }

    /// When what came at the last moment of it has waited as long as it says.
    fn over(self) -> Micros {
        self.until.plus(self.wait())
    }
}

/// Numbers that still count beside those in force, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EarlierTerms {
    /// Of `newcomer_ms`, by what clocks say: each is longer than all that came after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    newcomer: Vec<EarlierValue>,
    /// Of `staff_reads_shown_after_ms`, by the time of the log: each is shorter than all that came after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reads: Vec<EarlierValue>,
}

impl EarlierTerms {
    /// Whether none counts.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.newcomer.is_empty() && self.reads.is_empty()
    }
}

/// The terms in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsInForce {
    /// Counts how often they were set, from 1.
    pub version: i64,
    /// What they are.
    pub terms: Terms,
    /// What stood before and still counts.
    #[serde(default, skip_serializing_if = "EarlierTerms::is_none")]
    pub earlier: EarlierTerms,
}

impl TermsInForce {
    /// The first terms of a log, or such as nothing was before.
    #[must_use]
    pub fn first(version: i64, terms: Terms) -> Self {
        Self { version, terms, earlier: EarlierTerms::default() }
    }

    /// Those that follow these, set when clocks said `now` and the log was at `at`.
    #[must_use]
    pub fn followed_by(&self, version: i64, terms: Terms, now: Micros, at: Micros) -> Self {
        let Self { terms: was, earlier: EarlierTerms { mut newcomer, mut reads }, .. } = self.clone();
        let stood = EarlierValue { ms: was.newcomer_ms, until: now };
        newcomer.retain(|one| one.ms > stood.ms.max(terms.newcomer_ms) && one.over() > now);
        newcomer.extend(Some(stood).filter(|one| one.ms > terms.newcomer_ms));
        bound(&mut newcomer);
        let stood = EarlierValue { ms: was.staff_reads_shown_after_ms, until: at };
        reads.retain(|one| one.ms < stood.ms.min(terms.staff_reads_shown_after_ms));
        reads.extend(Some(stood).filter(|one| one.ms < terms.staff_reads_shown_after_ms));
        bound(&mut reads);
        Self { version, terms, earlier: EarlierTerms { newcomer, reads } }
    }

    /// How long who was invited does not count beside who invited them.
    #[must_use]
    pub fn newcomer(&self, now: Micros) -> Duration {
        let counts = self.earlier.newcomer.iter().filter(|one| one.over() > now).map(|one| one.wait());
        counts.fold(self.terms.newcomer(), Duration::max)
    }

    /// From when the `newcomer_ms` in force counts, if a longer one still does.
    #[must_use]
    pub fn newcomer_counts_from(&self, now: Micros) -> Option<Micros> {
        let longer = self.earlier.newcomer.iter().filter(|one| one.ms > self.terms.newcomer_ms);
        longer.map(|one| one.over()).filter(|over| *over > now).max()
    }

    /// Accounts are told of what staff read until then; all of them are times of the log.
    #[must_use]
    pub fn reads_disclosed_until(&self, at: Micros) -> Micros {
        let back = |wait: Duration| Micros(at.0.saturating_sub(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)));
        let earlier = self.earlier.reads.iter().map(|one| one.until.min(back(one.wait())));
        earlier.fold(back(self.terms.reads_disclosed_after()), Micros::max)
    }
}

/// Takes the two oldest together, as long as there are too many: the number is that of the older one, and holds as long as the
/// other one did.
fn bound(stood: &mut Vec<EarlierValue>) {
    while stood.len() > MAX_COUNT {
        let oldest = stood.remove(0);
        if let Some(next) = stood.first_mut() {
            next.ms = oldest.ms;
        }
    }
}
