//! Control rows against the fold of their events (P12).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Rows;
use super::finding::{Fault, Findings};
use crate::core::event::Event;
use crate::core::id::Position;
use crate::core::state::{ControlState, RowName};
use crate::log::store::{Head, StateRow};

/// A note as it was opened.
pub(super) enum Note {
    /// Its text.
    Said(Value),
    /// The event has one that cannot be opened: the rows that it made cannot be folded.
    Closed,
}

/// Control state folded again.
#[derive(Default)]
pub(super) struct Control {
    state: ControlState,
    touched: BTreeMap<RowName, Position>,
    unknown: BTreeSet<RowName>,
}

impl Control {
    /// Folds one event in.
    pub(super) fn fold(&mut self, event: &Event, note: Option<&Note>, findings: &mut Findings) {
        // As the writer does: events of calls change no control state.
        if event.kind.call().is_some() {
            return;
        }
        if ControlState::is_concerned(&event.kind) {
            self.change(event, note);
        }
        // What was made by a note that is closed cannot be hashed.
        if self.unknown.is_empty() && event.control.as_deref() != Some(self.state.root().as_str()) {
            findings.at(event.position, Fault::ControlRoot, "it says of control state what the events before it do not make it");
        }
    }

    fn change(&mut self, event: &Event, note: Option<&Note>) {
        let said = match note {
            Some(Note::Said(value)) => value,
            Some(Note::Closed) | None => &Value::Null,
        };
        for name in self.state.apply(event.position, event.at, &event.kind, said) {
            if matches!(note, Some(Note::Closed)) {
                self.unknown.insert(name.clone());
            }
            self.touched.insert(name, event.position);
        }
    }

    /// Control state as the events make it.
    pub(super) fn state(&self) -> &ControlState {
        &self.state
    }

    /// The rows that have to be written, and the names of those that no event made.
    pub(super) fn differing(&self, rows: &Rows) -> Result<(Vec<StateRow>, Vec<String>), String> {
        if let Some(name) = self.unknown.first() {
            return Err(format!("what made {}:{} cannot be opened, so it cannot be made again", name.kind, name.key));
        }
        let (mut written, mut made) = (Vec::new(), BTreeSet::new());
        for (row, position) in &self.touched {
            let name = format!("{}:{}", row.kind, row.key);
            let doc = self.state.row(row).map_err(|error| format!("{name}: {error}"))?;
            let row = StateRow { name: name.clone(), control: true, position: *position, doc };
            if rows.get(&name) != Some(&row) {
                written.push(row);
            }
            made.insert(name);
        }
        let extra = rows.keys().filter(|name| !name.starts_with("job:") && !made.contains(*name));
        Ok((written, extra.cloned().collect()))
    }

    /// Compares it with what is stored.
    pub(super) fn compare(&self, head: &Head, rows: &Rows, findings: &mut Findings) {
        if head.epoch != self.state.epoch {
            let detail = format!("the events make it {}, the head says {}", self.state.epoch.0, head.epoch.0);
            findings.about("head", Fault::HeadEpoch, detail);
        }
        let mut stored: BTreeMap<&str, &StateRow> =
            rows.iter().filter(|(name, _)| !name.starts_with("job:")).map(|(name, row)| (name.as_str(), row)).collect();
        for (name, position) in &self.touched {
            let full = format!("{}:{}", name.kind, name.key);
            let Some(row) = stored.remove(full.as_str()) else {
                findings.about(&full, Fault::ControlMissing, format!("the event at {} made it", position.0));
                continue;
            };
            self.compare_row(name, *position, row, findings);
        }
        for name in stored.into_keys() {
            findings.about(name, Fault::ControlExtra, "no event made it");
        }
    }

    fn compare_row(&self, name: &RowName, position: Position, row: &StateRow, findings: &mut Findings) {
        if row.position != position || !row.control {
            let detail = format!("it says it changed at {}, the log at {}", row.position.0, position.0);
            findings.about(&row.name, Fault::ControlDiffers, detail);
        }
        let expected = self.state.row(name).ok();
        if !self.unknown.contains(name) && expected.as_deref() != Some(&row.doc) {
            findings.about(&row.name, Fault::ControlDiffers, "its content is not what the events make it");
        }
    }
}
