//! Walking the whole log: is every event where it should be and what its leaf says, and does control state follow from it?
//!
//! It shares code with what writes the log, so it finds accidents. Forgery is for a verifier that shares none.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::rooms::Rooms;
use crate::core::event::Event;
use crate::core::id::Position;
use crate::core::state::{ControlState, RowName};
use crate::core::time::Micros;
use crate::log::reading::ReadError;
use crate::log::store::{EventRow, PayloadRow, Store};

/// Events that are read at a time.
const PAGE: u32 = 500;

/// Faults that are told; of more, only how many.
const TOLD: usize = 100;

/// What a walk found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Events that were walked.
    pub events: i64,
    /// What is wrong, in words that name the place.
    pub faults: Vec<String>,
    /// Faults beyond those that are told.
    pub more: usize,
}

impl Findings {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    fn add(&mut self, fault: String) {
        if self.faults.len() < TOLD { self.faults.push(fault) } else { self.more += 1 }
    }
}

/// Walks the log to its head. `progress` is told the position and the head.
pub async fn walk(rooms: &Rooms, progress: impl Fn(Position, Position)) -> Result<(Findings, Folded), ReadError> {
    let head = rooms.store.head().await?;
    let (mut findings, mut folded) = (Findings::default(), Folded::default());
    let (mut last, mut time) = (Position(0), Micros(0));
    while last < head.position {
        let rows = rooms.store.events(last, PAGE).await?;
        let (Some(first), Some(end)) = (rows.first(), rows.last()) else { break };
        let payloads = by_position(rooms.store.payloads(first.position, end.position).await?);
        for row in &rows {
            if row.position != last.next() {
                findings.add(format!("position {}: the event before it is at {}", row.position.0, last.0));
            }
            if row.at < time {
                findings.add(format!("position {}: time runs backwards", row.position.0));
            }
            (last, time) = (row.position, row.at);
            findings.events += 1;
            check(row, payloads.get(&row.position).map_or(&[][..], Vec::as_slice), &mut findings);
            folded.fold(rooms, row).await?;
        }
        progress(last, head.position);
    }
    if (last, time) != (head.position, head.at) {
        findings.add(format!("the head says {} and the last event is {}", head.position.0, last.0));
    }
    Ok((findings, folded))
}

fn by_position(rows: Vec<PayloadRow>) -> BTreeMap<Position, Vec<PayloadRow>> {
    let mut found: BTreeMap<Position, Vec<PayloadRow>> = BTreeMap::new();
    for row in rows {
        found.entry(row.position).or_default().push(row);
    }
    found
}

/// Every column is what the leaf says, and every part is the one that the leaf names.
fn check(row: &EventRow, payloads: &[PayloadRow], findings: &mut Findings) {
    let place = row.position.0;
    let Ok(event) = Event::decode(&row.leaf) else {
        return findings.add(format!("position {place}: the leaf cannot be read"));
    };
    let call = event.kind.call().map(ToString::to_string);
    if (event.position, event.at, event.kind.name(), &call) != (row.position, row.at, row.kind.as_str(), &row.call) {
        findings.add(format!("position {place}: the columns are not what the leaf says"));
    }
    if event.encode().ok().as_deref() != Some(&row.leaf) {
        findings.add(format!("position {place}: the leaf is not canonical"));
    }
    for part in &event.parts {
        let stored = payloads.iter().find(|payload| payload.part == part.part);
        match stored {
            None => findings.add(format!("position {place}: the part {} is missing", part.part)),
            Some(stored) if hex::encode(Sha256::digest(&stored.body)) != part.sha256 => {
                findings.add(format!("position {place}: the part {} is not the one that was recorded", part.part));
            }
            Some(_) => {}
        }
    }
    for stored in payloads.iter().filter(|stored| event.parts.iter().all(|part| part.part != stored.part)) {
        findings.add(format!("position {place}: the part {} was never recorded", stored.part));
    }
}

/// Control state as the log makes it.
#[derive(Default)]
pub struct Folded {
    state: ControlState,
    touched: BTreeSet<RowName>,
}

impl Folded {
    async fn fold(&mut self, rooms: &Rooms, row: &EventRow) -> Result<(), ReadError> {
        if row.call.is_some() {
            return Ok(());
        }
        let Ok(event) = Event::decode(&row.leaf) else { return Ok(()) };
        // An event whose note was erased keeps what its leaf says.
        let note = if event.parts.is_empty() { None } else { rooms.reader().part(&event, "note").await? };
        for name in self.state.apply(event.position, event.at, &event.kind, &note.unwrap_or(Value::Null)) {
            self.touched.insert(name);
        }
        Ok(())
    }

    /// The control rows that are not what the log makes of them.
    pub async fn differences(&self, rooms: &Rooms) -> Result<Vec<String>, ReadError> {
        let mut stored = BTreeMap::new();
        for row in rooms.store.state(&["account", "credential", "vm", "switch", "policy"]).await? {
            stored.insert(row.name, row.doc);
        }
        let mut different = Vec::new();
        for name in &self.touched {
            let key = format!("{}:{}", name.kind, name.key);
            if stored.remove(&key).as_deref() != Some(&self.state.row(name)?) {
                different.push(format!("the control row {key} is not what the log makes of it"));
            }
        }
        different.extend(stored.into_keys().map(|key| format!("the control row {key} follows from nothing in the log")));
        Ok(different)
    }

    /// Control state as the log makes it.
    #[must_use]
    pub fn state(&self) -> &ControlState {
        &self.state
    }
}
