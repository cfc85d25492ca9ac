//! Control rows against the fold of their events (P12).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::finding::{Fault, Findings};
use super::stored::Rows;
use crate::core::bounded::Hex;
use crate::core::event::Event;
use crate::core::id::{Epoch, Position};
use crate::core::root::RootKey;
use crate::core::state::{ControlState, RowName};
use crate::log::store::{Head, StateRow};

/// Rows of these kinds are no fold of events. If such a row is marked as control state, mending
/// clears the mark and keeps the row.
const BESIDE: [&str; 11] = ["approval", "claim", "idem", "limit", "node", "open", "pair", "probe", "run", "unknown", "use"];

fn is_beside(name: &str) -> bool {
    name.split_once(':').is_some_and(|(kind, _)| BESIDE.contains(&kind))
}

/// A note as it was opened.
pub(super) enum Note {
    /// Its text.
    Said(Value),
    /// The event has one that cannot be opened: the rows that it made cannot be folded.
    Closed,
}

/// Control state folded again.
pub(super) struct Control {
    state: ControlState,
    /// Roots can be made, so those of the events are looked at.
    is_keyed: bool,
    /// What the newest event beside the calls says of the state after it.
    newest: Option<(Position, Hex)>,
    touched: BTreeMap<RowName, Position>,
    unknown: BTreeSet<RowName>,
}

impl Control {
    /// Nothing yet. Without the key roots cannot be told from forged ones.
    pub(super) fn under(key: Option<RootKey>) -> Self {
        let (is_keyed, state) = (key.is_some(), ControlState::under(key.unwrap_or_default()));
        Self { state, is_keyed, newest: None, touched: BTreeMap::new(), unknown: BTreeSet::new() }
    }

    /// Folds one event in.
    pub(super) fn fold(&mut self, event: &Event, note: Option<&Note>, findings: &mut Findings) {
        // As the writer does: events of calls change no control state.
        if event.kind.call().is_some() {
            return;
        }
        if ControlState::is_concerned(&event.kind) {
            self.change(event, note);
        }
        self.newest = event.control.clone().map(|root| (event.position, root));
        // What was made by a note that is closed cannot be hashed.
        if self.is_keyed && self.unknown.is_empty() && event.control.as_deref() != Some(self.state.root(event.position).as_str())
        {
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

    /// Epoch as the events make it.
    pub(super) fn epoch(&self) -> Epoch {
        self.state.epoch
    }

    /// Control state as the events make it. Rows whose notes are closed are taken from what is stored, if all of it together
    /// has the root that the newest event says.
    pub(super) fn state(&self, rows: &Rows) -> Result<ControlState, String> {
        let mut state = self.state.clone();
        let Some(first) = self.unknown.first() else { return Ok(state) };
        for name in &self.unknown {
            let doc = rows.get(&name.to_string()).map_or(b"null".as_slice(), |row| &row.doc);
            state.load(name.kind.as_str(), &name.key, doc).map_err(|error| error.to_string())?;
        }
        if self.is_keyed && state.follows(self.newest.as_ref().map(|(at, root)| (*at, &**root))) {
            return Ok(state);
        }
        let count = self.unknown.len();
        Err(format!("of {count} rows, {first} among them, what made them cannot be opened, and one is not as it was"))
    }

    /// The rows that have to be written, and the names of those that no event made.
    pub(super) fn differing(&self, rows: &Rows) -> Result<(Vec<StateRow>, Vec<String>), String> {
        let state = self.state(rows)?;
        let (mut written, mut made) = (Vec::new(), BTreeSet::new());
        for (row, position) in &self.touched {
            let name = row.to_string();
            let doc = state.row(row).map_err(|error| format!("{name}: {error}"))?;
            let row = StateRow { name: name.clone(), control: true, position: *position, doc };
            if rows.get(&name) != Some(&row) {
                written.push(row);
            }
            made.insert(name);
        }
        let mut extra = Vec::new();
        for (name, row) in rows.iter().filter(|(name, _)| !name.starts_with("job:") && !made.contains(*name)) {
            if is_beside(name) {
                written.push(StateRow { control: false, ..row.clone() });
            } else {
                extra.push(name.clone());
            }
        }
        Ok((written, extra))
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
            let full = name.to_string();
            let Some(row) = stored.remove(full.as_str()) else {
                findings.about(&full, Fault::ControlMissing, format!("the event at {} made it", position.0));
                continue;
            };
            self.compare_row(name, *position, row, findings);
        }
        for name in stored.into_keys() {
            findings.about(name, Fault::ControlExtra, "no event made it");
        }
        if self.is_keyed
            && let Err(why) = self.state(rows)
        {
            findings.about("state", Fault::ControlClosed, why);
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
