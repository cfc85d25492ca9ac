//! The clock that staff accepted: how far the log's time is ahead of what clocks say, and when somebody last said that.
//!
//! ```text
//! event.at:  09:00 ─ 09:01 ─ ┊ a wrong clock ┊ ─ 10:01 (a day later) ─ accepted ─ 10:02 (a day later) ─ …
//! judged by: 09:00 ─ 09:01 ─ ┊               ┊ ─ 10:01 (a day later) ─ accepted ─ 09:03               ─ …
//! ```
//!
//! INVARIANT: the time of events never runs back (P6), and limits count by it, so that they stay exact (P5). What ends by
//! itself is judged by the clock that was accepted: by the time of events less what they are ahead.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::refusal::Refusal;
use super::time::Micros;

/// How far a time that somebody names may be from the clock that is to be accepted.
pub const MAX_NAMED_SKEW: Duration = Duration::from_mins(2);

/// How far the log's time may be ahead of a clock without anything being said of it.
const NEAR: Duration = Duration::from_secs(5);

/// For how long a clock that was accepted is believed although others say something else.
const BELIEVED: Duration = Duration::from_hours(1);

/// What was accepted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The log's time then.
    pub at: Micros,
    /// How many microseconds the log's time is ahead of the clocks from then on.
    pub ahead: i64,
}

impl Accepted {
    /// Whether it is so new that nothing need vouch for the clock that it was said of.
    #[must_use]
    pub fn vouches(&self, newest: Micros) -> bool {
        newest >= self.at && newest.since(self.at) <= BELIEVED
    }
}

/// A clock that is to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct Proposed {
    /// What it says.
    pub clock: Micros,
    /// The time as the person has it who accepts it.
    pub named: Micros,
    /// Whoever owns the data does it, who may say that the log is ahead.
    pub owner: bool,
}

impl Proposed {
    /// How far the log's time is ahead of the clock from then on, if it is `ahead` by now and the newest event is of `newest`; or why
    /// not.
    pub fn check(&self, ahead: i64, newest: Micros) -> Result<i64, Refusal> {
        let apart = self.clock.since(self.named).max(self.named.since(self.clock));
        if apart > MAX_NAMED_SKEW {
            let text = format!("This machine's clock says {}, and the time named is another.", self.clock.rfc3339());
            let hint = "Set the clock right, or accept that of a machine whose clock is right.";
            return Err(Refusal::new(Code::ValidationFailed, text).hint(hint));
        }
        let line = self.clock.shifted(ahead);
        if newest.since(line) <= NEAR {
            return Ok(ahead);
        }
        if !self.owner {
            let text = format!("The log's time is {}, {} s ahead of the clock.", newest.rfc3339(), newest.since(line).as_secs());
            let hint =
                "Who owns the data accepts that, with `forelog clock accept`; until then what stops something is recorded.";
            return Err(Refusal::new(Code::Conflict, text).hint(hint));
        }
        Ok(newest.0.saturating_sub(self.clock.0))
    }
}
