//! What events make of switches.

use serde_json::Value;

use crate::core::alarm::Alarm;
use crate::core::event::EventKind;
use crate::core::id::Position;
use crate::core::ramp::Ramp;
use crate::core::row::{RowKind, RowName, named};
use crate::core::state::ControlState;
use crate::core::switch::Switch;
use crate::core::time::Micros;

impl ControlState {
    /// Folds in an event about a switch, and the alarm that it raises; none if it is about something else.
    pub(super) fn change_switch(
        &mut self,
        position: Position,
        at: Micros,
        kind: &EventKind,
        note: &Value,
    ) -> Option<Vec<RowName>> {
        if let EventKind::AlarmAcknowledged { alarm, by, .. } = kind {
            return self.alarms.acknowledge(*alarm, by).then(|| named(RowKind::Alarms, "set"));
        }
        let mut touched = self.change_switch_row(position, at, kind, note)?;
        if let Some(alarm) = Alarm::of(position, at, kind, note) {
            self.alarms.raise(alarm);
            touched.extend(named(RowKind::Alarms, "set"));
        }
        Some(touched)
    }

    fn change_switch_row(&mut self, position: Position, at: Micros, kind: &EventKind, note: &Value) -> Option<Vec<RowName>> {
        match kind {
            EventKind::SwitchEngaged { switch, target, by, credential, running, expires_at } => {
                let row = Switch {
                    id: switch.clone(),
                    target: target.clone(),
                    reason: note["reason"].as_str().unwrap_or_default().to_owned(),
                    message: note["message"].as_str().map(str::to_owned),
                    by: by.clone(),
                    credential: credential.clone(),
                    incident: note["incident"].as_str().map(str::to_owned),
                    expires_at: *expires_at,
                    running: *running,
                    engaged_at: at,
                    position,
                    release_requested_by: None,
                    release_requested_with: None,
                    ramp: None,
                };
                self.switches.insert(switch.clone(), row);
                Some(named(RowKind::Switch, switch.as_str()))
            }
            EventKind::ReleaseRequested { switch, by, credential } => {
                let mut row = self.switches.get_mut(switch)?;
                row.release_requested_by = Some(by.clone());
                row.release_requested_with.clone_from(credential);
                Some(named(RowKind::Switch, switch.as_str()))
            }
            EventKind::ReleaseRamped { switch, until, .. } => {
                let mut row = self.switches.get_mut(switch)?;
                row.ramp = Some(Ramp { since: at, until: *until });
                row.release_requested_by = None;
                row.release_requested_with = None;
                Some(named(RowKind::Switch, switch.as_str()))
            }
            EventKind::SwitchReleased { switch, .. } | EventKind::SwitchExpired { switch } => {
                self.switches.remove(switch)?;
                Some(named(RowKind::Switch, switch.as_str()))
            }
            _ => None,
        }
    }
}
