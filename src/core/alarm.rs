//! Alarms: what was done to switches on the data itself (break-glass), past every role and the second person, and who of the staff
//! has seen it.
//!
//! INVARIANT: they follow from the log alone. Only an event that is break-glass raises one, so nothing that anybody does over the
//! wire pushes one out, and acknowledging takes none away.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::EventKind;
use super::id::{Position, SwitchId, UserId};
use super::time::Micros;

/// How long an alarm is shown.
const LASTS: Duration = Duration::from_hours(24);

/// The newest that are kept: whoever can make more owns the data.
const MAX_KEPT: usize = 100;

/// The people that are kept by name of those who acknowledged one.
const MAX_NAMED: usize = 16;

/// The longest name of a user or a machine that is kept, in characters.
const MAX_NAME: usize = 64;

/// What was done to the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It was engaged.
    Engaged,
    /// It was released.
    Released,
    /// Its release was begun, step by step.
    Ramped,
}

/// A switch that was changed on the data itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Where its event is.
    pub position: Position,
    /// When that was.
    pub at: Micros,
    /// The switch.
    pub switch: SwitchId,
    /// What was done.
    pub deed: Deed,
    /// Who sat at the data, and the machine's name, as the command line found them.
    pub operator: Option<(String, String)>,
    /// Who of the staff has acknowledged it, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledged: Vec<UserId>,
}

impl Alarm {
    /// The alarm that an event raises, if it is break-glass.
    pub(super) fn of(position: Position, at: Micros, kind: &EventKind, note: &Value) -> Option<Self> {
        let switch = kind.break_glass()?.clone();
        let deed = match kind {
            EventKind::SwitchEngaged { .. } => Deed::Engaged,
            EventKind::ReleaseRamped { .. } => Deed::Ramped,
            _ => Deed::Released,
        };
        let name = |field: &str| Some(note["operator"][field].as_str()?.chars().take(MAX_NAME).collect::<String>());
        let operator = name("user").zip(name("host"));
        Some(Self { position, at, switch, deed, operator, acknowledged: Vec::new() })
    }

    /// Whether it is shown at `now`.
    #[must_use]
    pub fn lasts(&self, now: Micros) -> bool {
        now.since(self.at) < LASTS
    }

    /// Whether another person can be named as having acknowledged it.
    #[must_use]
    pub fn takes(&self, person: &UserId) -> bool {
        self.acknowledged.len() < MAX_NAMED && !self.acknowledged.contains(person)
    }
}

/// The alarms that are kept, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Alarms(Vec<Alarm>);

impl Alarms {
    /// Those that are shown at `now`, newest first.
    pub fn lasting(&self, now: Micros) -> impl Iterator<Item = &Alarm> {
        self.0.iter().rev().filter(move |alarm| alarm.lasts(now))
    }

    /// The alarm of the event at a position, while it lasts.
    #[must_use]
    pub fn find(&self, position: Position, now: Micros) -> Option<&Alarm> {
        self.lasting(now).find(|alarm| alarm.position == position)
    }

    pub(super) fn raise(&mut self, alarm: Alarm) {
        self.0.retain(|earlier| earlier.lasts(alarm.at));
        self.0.push(alarm);
        let too_many = self.0.len().saturating_sub(MAX_KEPT);
        self.0.drain(..too_many);
    }

    pub(super) fn acknowledge(&mut self, position: Position, person: &UserId) -> bool {
        let known = self.0.iter_mut().find(|alarm| alarm.position == position && alarm.takes(person));
        known.map(|alarm| alarm.acknowledged.push(person.clone())).is_some()
    }
}
