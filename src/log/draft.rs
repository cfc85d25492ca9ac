//! A batch while it is decided: what the transaction found, and what it will write. Pure; no waiting.
//!
//! INVARIANT: an event's time is never before the head's, later entries of a batch see what earlier ones wrote, and of an entry
//! that errs or panics nothing is left ([`Draft::attempt`]).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::loading::load;
use super::store::{Batch, EventRow, Found, Head, PayloadRow, StateRow, StoreError};
use super::time::BatchTime;
use super::vault::SealedPart;
use crate::core::clock::{Accepted, Proposed};
use crate::core::code::Code;
use crate::core::event::{Event, EventKind, LEAF_VERSION};
use crate::core::id::{CallId, Epoch, EventId, Position};
use crate::core::refusal::Refusal;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::time::Micros;

/// An event that is to be appended.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id, to which the parts are bound.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
    /// Its encrypted parts.
    pub parts: Vec<SealedPart>,
    /// The plaintext of its `note` part, which control state is folded from.
    pub note: Scrubbed,
}

impl NewEvent {
    /// An event that is all in its leaf.
    #[must_use]
    pub fn plain(id: EventId, kind: EventKind) -> Self {
        Self { id, kind, parts: Vec::new(), note: Scrubbed::default() }
    }

    /// An event with free text. Where that was left out control state does not hold it either: it follows from what is kept.
    #[must_use]
    pub fn noted(id: EventId, kind: EventKind, part: SealedPart, note: Scrubbed) -> Self {
        let note = if part.is_left_out() { Scrubbed::default() } else { note };
        Self { id, kind, parts: vec![part], note }
    }
}

/// When the use of a key is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// With the call.
    Now,
    /// In a later entry, so that the call does not wait for that row.
    Later,
}

/// A batch in the making.
pub struct Draft {
    /// What clocks say: what ends by itself is judged by it.
    pub now: Micros,
    /// The time that the next event gets, which never runs back; limits count by it.
    pub at: Micros,
    /// The node's clock cannot be trusted: only stopping goes on.
    pub skewed: bool,
    /// The head is not what the events make it: only stopping goes on.
    pub pushed: bool,
    repairs: bool,
    /// When the use of a key is counted that the present entry records.
    pub(super) counts: Counts,
    /// The latest time that the database takes.
    most: Micros,
    /// The latest that it may be now: what is to hold for some time holds from then.
    pub latest: Micros,
    head: Head,
    /// Control state before this batch.
    before: Arc<ControlState>,
    state: Arc<ControlState>,
    rows: BTreeMap<String, Vec<u8>>,
    /// What the transaction has read of calls' events.
    calls: BTreeMap<CallId, Vec<EventRow>>,
    events: Vec<EventRow>,
    payloads: Vec<PayloadRow>,
    puts: BTreeMap<String, StateRow>,
    deletes: BTreeSet<String>,
    /// What the present entry has overwritten, oldest first.
    undo: Vec<Overwritten>,
}

/// What was known of a row before an entry wrote it.
struct Overwritten {
    name: String,
    row: Option<Vec<u8>>,
    put: Option<StateRow>,
    deleted: bool,
}

impl Draft {
    /// Starts a batch on what the transaction found. Control rows that cannot be read, or that are not what the log says,
    /// refuse everything (P12).
    pub(super) fn new(
        head: Head,
        found: Found,
        known: &Arc<ControlState>,
        read: impl FnOnce(&Found, Option<Accepted>) -> BatchTime,
    ) -> Result<Self, StoreError> {
        let mut state = Arc::clone(known);
        if head.epoch != known.epoch || head.epoch.is_spent() {
            load(Arc::make_mut(&mut state), &found, head.position)?;
            Arc::make_mut(&mut state).epoch = head.epoch;
        }
        let time = read(&found, state.clock);
        let at = time.at.max(head.at);
        let pushed = found.stored != (head.position, head.at) || head.epoch.is_spent();
        let rows = found.rows.into_iter().map(|row| (row.name, row.doc)).collect();
        Ok(Self {
            now: state.on_clocks(at),
            at,
            skewed: time.skewed,
            pushed,
            repairs: false,
            counts: Counts::Now,
            most: time.most,
            latest: state.on_clocks(time.latest.max(head.at)),
            head,
            before: Arc::clone(&state),
            state,
            rows,
            calls: found.calls,
            events: Vec::new(),
            payloads: Vec::new(),
            puts: BTreeMap::new(),
            deletes: BTreeSet::new(),
            undo: Vec::new(),
        })
    }

    /// Lets one entry write. If it errs or panics, the batch is as if it had not been in it.
    pub(super) fn attempt<R>(&mut self, entry: &mut dyn FnMut(&mut Self) -> Result<R, StoreError>) -> Result<R, StoreError> {
        let (head, at, state) = (self.head, self.at, Arc::clone(&self.state));
        let (events, payloads) = (self.events.len(), self.payloads.len());
        self.undo.clear();
        self.counts = Counts::Now;
        let tried = catch_unwind(AssertUnwindSafe(|| entry(self))).unwrap_or(Err(StoreError::Panicked));
        if tried.is_ok() {
            return tried;
        }
        (self.head, self.at, self.state) = (head, at, state);
        self.events.truncate(events);
        self.payloads.truncate(payloads);
        for Overwritten { name, row, put, deleted } in std::mem::take(&mut self.undo).into_iter().rev() {
            restore(&mut self.rows, &name, row);
            restore(&mut self.puts, &name, put);
            if deleted {
                self.deletes.insert(name)
            } else {
                self.deletes.remove(&name)
            };
        }
        self.now = self.state.on_clocks(self.at);
        tried
    }

    /// Control state as this batch has made it so far.
    #[must_use]
    pub fn state(&self) -> &ControlState {
        &self.state
    }

    /// The same, for whoever keeps it.
    pub(super) fn shared_state(&self) -> &Arc<ControlState> {
        &self.state
    }

    /// Of the newest event.
    pub(super) fn position(&self) -> Position {
        self.head.position
    }

    /// The newest event of this batch.
    pub(super) fn last_event(&self) -> Option<&EventRow> {
        self.events.last()
    }

    /// The events of a call that was asked for, with those of this batch; none if it was not asked for.
    pub(super) fn events_of(&self, call: &CallId) -> Option<impl Iterator<Item = &EventRow>> {
        let fresh = self.events.iter().filter(|row| row.call.as_deref() == Some(call.as_str()));
        Some(self.calls.get(call)?.iter().chain(fresh))
    }

    /// Appends an event and folds it into control state. `prev` is the previous event of the same call.
    pub fn append(&mut self, prev: Position, event: NewEvent) -> Result<Position, StoreError> {
        let position = self.head.position.next();
        let NewEvent { id, kind, parts, note } = event;
        if ControlState::is_concerned(&kind) {
            self.fold(position, &kind, note.document())?;
        }
        let control = kind.call().is_none().then(|| self.state.root(position));
        let named = parts.iter().map(|sealed| sealed.part.clone()).collect();
        let leaf = Event {
            v: LEAF_VERSION,
            log: 1,
            position,
            at: self.at,
            id,
            prev,
            kind,
            parts: named,
            control: control.map(Into::into),
        };
        let bytes = leaf.encode().map_err(|error| StoreError::Unreadable(error.to_string()))?;
        self.events.push(EventRow {
            position,
            at: self.at,
            kind: leaf.kind.name().to_owned(),
            call: leaf.kind.call().map(ToString::to_string),
            leaf: bytes,
        });
        let stored = parts.into_iter().filter(|part| !part.is_left_out());
        self.payloads.extend(stored.map(|part| part.row(position)));
        self.head.position = position;
        Ok(position)
    }

    fn fold(&mut self, position: Position, kind: &EventKind, note: &Value) -> Result<(), StoreError> {
        let changed = Arc::make_mut(&mut self.state).apply(position, self.at, kind, note);
        self.now = self.state.on_clocks(self.at);
        for row in changed {
            let doc = self.state.row(&row).map_err(|error| StoreError::Unreadable(error.to_string()))?;
            let name = row.to_string();
            let kept = self.rows.get(&name).cloned();
            self.set(&name, kept, Some(StateRow { name: name.clone(), control: true, position, doc }), false);
        }
        Ok(())
    }

    /// The one way in which a row of this batch changes.
    fn set(&mut self, name: &str, row: Option<Vec<u8>>, put: Option<StateRow>, deleted: bool) {
        let was = if deleted { !self.deletes.insert(name.to_owned()) } else { self.deletes.remove(name) };
        let (row, put) = (restore(&mut self.rows, name, row), restore(&mut self.puts, name, put));
        self.undo.push(Overwritten { name: name.to_owned(), row, put, deleted: was });
    }

    /// Goes on at what a clock says that is to be accepted, which the next event says; answers how far the log's time is ahead of
    /// it, or why it is not accepted.
    pub fn follow_clock(&mut self, proposed: &Proposed) -> Result<i64, Refusal> {
        let newest = self.events.last().map_or(self.head.at, |event| event.at);
        let ahead = proposed.check(self.state.ahead(), newest)?;
        let at = proposed.clock.shifted(ahead).max(newest);
        if at > self.most.max(newest) {
            let refusal = Refusal::new(Code::Conflict, "The database's clock says another time, and takes no event of this one.");
            return Err(refusal.hint("Set the clock of the database's server right: nothing has to be accepted then."));
        }
        self.at = at;
        Ok(ahead)
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

    /// Those of a kind that was asked for whole that can be read; of the others the first is named.
    pub fn all_readable<T: DeserializeOwned>(&self, kind: &str) -> Vec<(String, T)> {
        let start = format!("{kind}:");
        let of_kind = self.rows.range(start.clone()..).take_while(|(name, _)| name.starts_with(&start));
        let (mut read, mut unread, mut first) = (Vec::new(), 0_usize, None);
        for (name, doc) in of_kind {
            match serde_json::from_slice(doc) {
                Ok(row) => read.push((name.clone(), row)),
                Err(error) => {
                    unread += 1;
                    first.get_or_insert((name, error));
                }
            }
        }
        if let Some((row, error)) = first {
            tracing::error!(row, %error, unread, "rows cannot be read, and the others go on without them");
        }
        read
    }

    /// Every row whose name begins with a prefix that was asked for.
    pub fn under<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<T>, StoreError> {
        let under = self.rows.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
        let read = |(name, doc): (&String, &Vec<u8>)| {
            serde_json::from_slice(doc).map_err(|error| StoreError::Unreadable(format!("{name}: {error}")))
        };
        under.map(read).collect()
    }

    /// Writes a state row.
    pub fn put<T: Serialize>(&mut self, name: &str, row: &T) -> Result<(), StoreError> {
        let doc = serde_json::to_vec(row).map_err(|error| StoreError::Unreadable(format!("{name}: {error}")))?;
        self.put_bytes(name, doc);
        Ok(())
    }

    /// Writes a state row of bytes.
    pub fn put_bytes(&mut self, name: &str, doc: Vec<u8>) {
        let row = StateRow { name: name.to_owned(), control: false, position: self.head.position, doc: doc.clone() };
        self.set(name, Some(doc), Some(row), false);
    }

    /// Writes a row of control state as the log makes it, without an event that changes it: for mending alone.
    pub fn mend(&mut self, row: StateRow) {
        let (name, doc) = (row.name.clone(), row.doc.clone());
        self.set(&name, Some(doc), Some(row), false);
    }

    /// Puts the head where the events are, with this epoch: for mending alone.
    pub fn repair(&mut self, epoch: Epoch) {
        Arc::make_mut(&mut self.state).epoch = epoch;
        self.repairs = true;
    }

    /// Deletes a state row.
    pub fn delete(&mut self, name: &str) {
        self.set(name, None, None, true);
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
            ahead: (self.state.ahead() != self.before.ahead()).then(|| self.state.ahead()),
            repairs: self.repairs,
        };
        (batch, self.state)
    }
}

/// Puts back what was there under a name, and answers what was there instead.
fn restore<T>(map: &mut BTreeMap<String, T>, name: &str, was: Option<T>) -> Option<T> {
    match was {
        Some(value) => map.insert(name.to_owned(), value),
        None => map.remove(name),
    }
}
