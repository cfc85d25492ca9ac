//! A batch while it is decided: what the transaction found, and what it will write. Pure; no waiting.
//!
//! INVARIANT: an event's time is never before the head's, and later entries of a batch see what earlier ones wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::store::{Batch, EventRow, Found, Head, PayloadRow, StateRow, StoreError};
use super::vault::SealedPart;
use crate::core::event::{Event, Kind, LEAF_VERSION};
use crate::core::id::{EventId, Position};
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::time::Micros;

/// An event that is to be appended.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id, to which the parts are bound.
    pub id: EventId,
    /// What happened.
    pub kind: Kind,
    /// Its encrypted parts.
    pub parts: Vec<SealedPart>,
    /// The plaintext of its `note` part, which control state is folded from.
    pub note: Scrubbed,
}

impl NewEvent {
    /// An event that is all in its leaf.
    #[must_use]
    pub fn plain(id: EventId, kind: Kind) -> Self {
        Self { id, kind, parts: Vec::new(), note: Scrubbed::default() }
    }
}

/// A batch in the making.
pub struct Draft {
    /// Time that every event of this batch gets.
    pub now: Micros,
    /// The node's clock cannot be trusted: only stopping goes on.
    pub skewed: bool,
    head: Head,
    state: Arc<ControlState>,
    rows: BTreeMap<String, Vec<u8>>,
    events: Vec<EventRow>,
    payloads: Vec<PayloadRow>,
    puts: BTreeMap<String, StateRow>,
    deletes: BTreeSet<String>,
}

impl Draft {
    /// Starts a batch on what the transaction found. Control rows that cannot be read refuse everything (P12).
    pub fn new(head: Head, found: Found, known: &Arc<ControlState>, time: Micros, skewed: bool) -> Result<Self, StoreError> {
        let mut state = Arc::clone(known);
        if head.epoch != known.epoch {
            let fresh = Arc::make_mut(&mut state);
            for row in &found.changed {
                let (kind, key) = row.name.split_once(':').unwrap_or((&row.name, ""));
                fresh.load(kind, key, &row.doc).map_err(|error| StoreError::Unreadable(error.to_string()))?;
                fresh.position = fresh.position.max(row.position);
            }
            fresh.epoch = head.epoch;
        }
        let rows = found.rows.into_iter().map(|row| (row.name, row.doc)).collect();
        let (puts, deletes) = (BTreeMap::new(), BTreeSet::new());
        let now = time.max(head.at);
        Ok(Self { now, skewed, head, state, rows, events: Vec::new(), payloads: Vec::new(), puts, deletes })
    }

    /// Control state as this batch has made it so far.
    #[must_use]
    pub fn state(&self) -> &ControlState {
        &self.state
    }

    /// Appends an event and folds it into control state. `prev` is the previous event of the same call.
    pub fn append(&mut self, prev: Position, event: NewEvent) -> Result<Position, StoreError> {
        let position = self.head.position.next();
        let parts = event.parts.iter().map(|sealed| sealed.part.clone()).collect();
        let leaf = Event { v: LEAF_VERSION, log: 1, position, at: self.now, id: event.id, prev, kind: event.kind, parts };
        let bytes = leaf.encode().map_err(|error| StoreError::Unreadable(error.to_string()))?;
        self.fold(position, &leaf.kind, event.note.document())?;
        self.events.push(EventRow {
            position,
            at: self.now,
            kind: leaf.kind.name().to_owned(),
            call: leaf.kind.call().map(ToString::to_string),
            leaf: bytes,
        });
        self.payloads.extend(event.parts.into_iter().map(|part| part.row(position)));
        self.head.position = position;
        Ok(position)
    }

    fn fold(&mut self, position: Position, kind: &Kind, note: &Value) -> Result<(), StoreError> {
        if kind.call().is_some() {
            return Ok(());
        }
        let state = Arc::make_mut(&mut self.state);
        for name in state.apply(position, self.now, kind, note) {
            let doc = state.row(&name).map_err(|error| StoreError::Unreadable(error.to_string()))?;
            let name = format!("{}:{}", name.kind, name.key);
            self.puts.insert(name.clone(), StateRow { name, control: true, position, doc });
        }
        Ok(())
    }

    /// A state row that was asked for, or written earlier in this batch.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(doc) = self.bytes(name) else { return Ok(None) };
        serde_json::from_slice(doc).map(Some).map_err(|error| StoreError::Unreadable(format!("{name}: {error}")))
    }

    /// The bytes of a state row.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.rows.get(name).map(Vec::as_slice)
    }

    /// Every row of a kind that was asked for whole.
    pub fn all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<(String, T)>, StoreError> {
        let start = format!("{kind}:");
        let of_kind = self.rows.range(start.clone()..).take_while(|(name, _)| name.starts_with(&start));
        of_kind
            .map(|(name, doc)| {
                let row = serde_json::from_slice(doc).map_err(|error| StoreError::Unreadable(format!("{name}: {error}")))?;
                Ok((name.clone(), row))
            })
            .collect()
    }

    /// Writes a state row.
    pub fn put<T: Serialize>(&mut self, name: &str, row: &T) -> Result<(), StoreError> {
        let doc = serde_json::to_vec(row).map_err(|error| StoreError::Unreadable(format!("{name}: {error}")))?;
        self.put_bytes(name, doc);
        Ok(())
    }

    /// Writes a state row of bytes.
    pub fn put_bytes(&mut self, name: &str, doc: Vec<u8>) {
        self.rows.insert(name.to_owned(), doc.clone());
        self.deletes.remove(name);
        let row = StateRow { name: name.to_owned(), control: false, position: self.head.position, doc };
        self.puts.insert(name.to_owned(), row);
    }

    /// Deletes a state row.
    pub fn delete(&mut self, name: &str) {
        self.rows.remove(name);
        self.puts.remove(name);
        self.deletes.insert(name.to_owned());
    }

    /// What is to be written, and control state after it.
    #[must_use]
    pub fn finish(self) -> (Batch, Arc<ControlState>) {
        let batch = Batch {
            events: self.events,
            payloads: self.payloads,
            puts: self.puts.into_values().collect(),
            deletes: self.deletes.into_iter().collect(),
            epoch: self.state.epoch,
        };
        (batch, self.state)
    }
}
