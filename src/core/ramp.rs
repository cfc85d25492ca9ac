//! A release step by step: keys come back one after the other, so that what was stopped does not come back all at once.
//!
//! INVARIANT: who is let through is a function of the switch, the key and the time of the log alone, the same for every node
//! and for whoever checks the log later; a key that was let through stays let through until the ramp is over.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::id::{CredentialId, SwitchId};
use super::time::Micros;

/// Since when a switch lets go, and when it has let go of everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ramp {
    /// When it began: nobody is let through yet.
    pub since: Micros,
    /// When everybody is let through.
    pub until: Micros,
}

impl Ramp {
    /// The longest that a release may take.
    pub const MAX_DURATION: Duration = Duration::from_hours(2);

    /// Whether a key is let through at `now`.
    #[must_use]
    pub fn lets_through(&self, switch: &SwitchId, credential: &CredentialId, now: Micros) -> bool {
        now >= self.turn(switch, credential)
    }

    /// When a key is let through: after `since`, and at `until` at the latest.
    #[must_use]
    pub fn turn(&self, switch: &SwitchId, credential: &CredentialId) -> Micros {
        let span = u128::from(self.until.0.saturating_sub(self.since.0).max(0).unsigned_abs());
        // Less than the span, so the last one comes at its end.
        let wait = (u128::from(place(switch, credential)) * span) >> u64::BITS;
        Micros(self.since.0.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX)).saturating_add(1)).min(self.until)
    }

    /// How far it is at `now`, in percent: so many of a hundred keys are let through.
    #[must_use]
    pub fn percent(&self, now: Micros) -> u8 {
        let (gone, span) = (now.since(self.since).as_micros(), self.until.since(self.since).as_micros());
        u8::try_from((gone * 100).checked_div(span).unwrap_or(100).min(100)).unwrap_or(100)
    }
}

/// Where a key stands in the queue of a switch: evenly spread, another place for every switch, and nothing to choose.
fn place(switch: &SwitchId, credential: &CredentialId) -> u64 {
    let digest = Sha256::digest(format!("{switch}/{credential}"));
    digest.iter().take(8).fold(0, |place, byte| (place << 8) | u64::from(*byte))
}
