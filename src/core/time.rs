//! Time as a number and a port. Nothing below `app` reads the machine's clock.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// So far ahead anything may be given an end. What lasts longer has none.
pub const MAX_DURATION: Duration = Duration::from_hours(10 * 365 * 24);

/// Microseconds since 1970-01-01 UTC. Event times never run backwards along positions (P6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// So many microseconds has a day.
    pub const DAY: i64 = 86_400_000_000;

    /// The last second of the year 9999, after which no calendar of ours has a day. A double holds it exactly, so that it can
    /// be written down.
    pub const LAST: Self = Self(253_402_300_799_000_000);

    /// This instant moved forward by `by`, at most to [`Micros::LAST`].
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)).min(Self::LAST.0.max(self.0)))
    }

    /// This instant so many microseconds later, or earlier.
    #[must_use]
    pub fn shifted(self, by: i64) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// In RFC 3339, UTC; the number itself if no calendar has it.
    #[must_use]
    pub fn rfc3339(self) -> String {
        self.on_calendar().unwrap_or_else(|| self.0.to_string())
    }

    /// The same as JSON: a text, or the number.
    #[must_use]
    pub fn document(self) -> Value {
        self.on_calendar().map_or_else(|| self.0.into(), Value::from)
    }

    fn on_calendar(self) -> Option<String> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000).ok()?.format(&Rfc3339).ok()
    }

    /// How long after `earlier` this instant is; zero if it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// As it is shown: in RFC 3339 ([`super::render_times`]).
impl JsonSchema for Micros {
    fn schema_name() -> Cow<'static, str> {
        "Micros".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// A machine since it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Another one with every start.
    pub id: Arc<str>,
    /// Time since then, which nobody sets.
    pub up: Duration,
}

/// The machine's clock, injected so that tests can freeze it and turn it back.
pub trait Clock: Send + Sync {
    /// Wall-clock time. May jump; the log does not let it run backwards.
    fn now(&self) -> Micros;
    /// Time since an arbitrary start that never jumps.
    fn elapsed(&self) -> Duration;
    /// Whether it tells the time that a database's clock tells, too. One that a test turns does not.
    fn is_real(&self) -> bool {
        false
    }
    /// How long this machine runs, sleep included; none if it does not say.
    fn boot(&self) -> Option<Boot> {
        None
    }
}

/// The machine's randomness, injected so that tests can repeat a run.
pub trait Entropy: Send + Sync {
    /// Fills `into` with bytes an attacker cannot guess.
    fn fill(&self, into: &mut [u8]);
}
