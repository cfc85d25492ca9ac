//! Terms: the numbers that decide for callers. Windows, quotas, how long a held call waits, who counts as a second person.
//!
//! INVARIANT: what binds is what an event put in force, read at the head of the log by whoever decides (P5, P12). What a process
//! was started with is what the first start of a log records, and else only what may be compared with it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::code::Code;
use super::limit::Limit;
use super::near::did_you_mean;
use super::quota::Quotas;
use super::refusal::Refusal;

/// A year in milliseconds, a leap day included: the longest of the waits.
pub const YEAR: u64 = 366 * 86_400_000;

/// How long a held call may wait for a person, in milliseconds.
pub const APPROVAL_MS: RangeInclusive<u64> = 1000..=2_592_000_000;

/// Sliding windows that apply where a credential has none of its own; each holds exactly, across nodes and restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// All calls of a credential.
    pub credential: Limit,
    /// Commands on one VM of an account.
    pub exec: Limit,
    /// Writes of an account.
    pub write: Limit,
}

impl Default for Limits {
    fn default() -> Self {
        let per_minute = |admit| Limit { admit, window_ms: 60_000 };
        Self { credential: per_minute(600), exec: per_minute(60), write: per_minute(120) }
    }
}

/// Everything that is recorded together. The names are those of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// Sliding windows.
    pub limits: Limits,
    /// How much an account and a key may have at a time.
    pub quotas: Quotas,
    /// How long a held call waits for a person.
    pub approval_ms: u64,
    /// Where it takes two people, somebody who was invited counts beside who invited them after this long.
    pub newcomer_ms: u64,
    /// When an account is told that staff read its log.
    pub staff_reads_shown_after_ms: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            quotas: Quotas::default(),
            approval_ms: 86_400_000,
            newcomer_ms: 7 * 86_400_000,
            staff_reads_shown_after_ms: 0,
        }
    }
}

/// A number that is not the one in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Difference {
    /// Its key, as in the configuration.
    pub key: String,
    /// What is in force.
    pub in_force: u64,
    /// What a node was started with.
    pub configured: u64,
}

impl Terms {
    /// Refuses numbers that make no sense: names the key, and says what is wrong.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let Limits { credential, exec, write } = self.limits;
        let windows = [("limits.credential", credential), ("limits.exec", exec), ("limits.write", write)];
        if let Some((key, _)) = windows.into_iter().find(|(_, limit)| !limit.is_valid()) {
            return Err((key, format!("needs admit 1 … {} and window_ms 1 … 86400000", Limit::MAX_COUNT)));
        }
        self.quotas.check().map_err(|(key, why)| (key, why.to_owned()))?;
        if !APPROVAL_MS.contains(&self.approval_ms) {
            return Err(("approval_ms", "is not within 1000 … 2592000000".into()));
        }
        let waits = [("newcomer_ms", self.newcomer_ms), ("staff_reads_shown_after_ms", self.staff_reads_shown_after_ms)];
        match waits.into_iter().find(|(_, wait)| *wait > YEAR) {
            Some((key, _)) => Err((key, format!("is more than {YEAR}"))),
            None => Ok(()),
        }
    }

    /// How long a held call waits for a person.
    #[must_use]
    pub fn approval(&self) -> Duration {
        Duration::from_millis(self.approval_ms)
    }

    /// How long who was invited does not count beside who invited them, by these alone.
    #[must_use]
    pub fn newcomer(&self) -> Duration {
        Duration::from_millis(self.newcomer_ms)
    }

    /// When an account is told that staff read its log.
    #[must_use]
    pub fn reads_disclosed_after(&self) -> Duration {
        Duration::from_millis(self.staff_reads_shown_after_ms)
    }

    /// Every number by its key, as in the configuration.
    #[must_use]
    pub fn numbers(&self) -> BTreeMap<String, u64> {
        let mut numbers = BTreeMap::new();
        flatten("", &json!(self), &mut numbers);
        numbers
    }

    /// Where a node that was started with `configured` differs.
    #[must_use]
    pub fn differences(&self, configured: &Self) -> Vec<Difference> {
        let theirs = configured.numbers();
        let differs = |(key, in_force): (String, u64)| {
            let configured = theirs.get(&key).copied().unwrap_or_default();
            (configured != in_force).then_some(Difference { key, in_force, configured })
        };
        self.numbers().into_iter().filter_map(differs).collect()
    }

    /// These with the numbers that `change` names, in the shape of the configuration. What it does not name stays.
    pub fn with(&self, change: &Value) -> Result<Self, Refusal> {
        let mut document = json!(self);
        let changed = merge("", &mut document, change)?;
        if changed == 0 {
            return Err(cannot("", "Nothing is named that is to change."));
        }
        let terms: Self = serde_json::from_value(document).map_err(|error| cannot("", &error.to_string()))?;
        terms.checked()
    }

    /// These, if they make sense.
    pub fn checked(self) -> Result<Self, Refusal> {
        self.check().map_err(|(key, why)| cannot(key, &why))?;
        Ok(self)
    }
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, u64>) {
    if let Some(number) = value.as_u64() {
        into.insert(path.to_owned(), number);
    }
    for (name, below) in value.as_object().into_iter().flatten() {
        flatten(&below_of(path, name), below, into);
    }
}

fn below_of(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Puts the numbers of `change` into `document`; answers how many it named.
fn merge(path: &str, document: &mut Value, change: &Value) -> Result<usize, Refusal> {
    match (document, change) {
        (Value::Object(known), Value::Object(fields)) => {
            let mut changed = 0;
            for (name, value) in fields {
                let below = below_of(path, name);
                let Some(place) = known.get_mut(name) else { return Err(unknown(path, name, known)) };
                changed += merge(&below, place, value)?;
            }
            Ok(changed)
        }
        (_, Value::Null) => Err(cannot(path, "cannot be left without a number; say which it is to be.")),
        (place @ Value::Number(_), Value::Number(number)) => {
            let is_small = !path.contains('.') || number.as_u64().is_some_and(|number| u32::try_from(number).is_ok());
            if !number.is_u64() || !is_small {
                return Err(cannot(path, &format!("cannot be {number}.")));
            }
            *place = change.clone();
            Ok(1)
        }
        (Value::Object(known), _) => {
            let all: Vec<String> = known.keys().map(|name| format!("`{}`", below_of(path, name))).collect();
            Err(cannot(path, &format!("is several numbers; name each: {}.", all.join(", "))))
        }
        _ => Err(cannot(path, "takes a whole number.")),
    }
}

/// A key that there is not, with what is near among those beside it.
fn unknown(path: &str, name: &str, known: &Map<String, Value>) -> Refusal {
    let meant = did_you_mean(name, known.keys().map(String::as_str), |near| format!("`{}`", below_of(path, near)));
    let meant = meant.map_or_else(String::new, |meant| format!(" {meant}"));
    cannot(&below_of(path, name), &format!("is not one of the limits.{meant}"))
}

fn cannot(key: &str, why: &str) -> Refusal {
    let text = if key.is_empty() { why.to_owned() } else { format!("`{key}` {why}") };
    Refusal::new(Code::ValidationFailed, text)
        .hint("The limits in force stay as they are. docs/configuration.md says what each may be.")
        .details(json!({ "key": key }))
}
