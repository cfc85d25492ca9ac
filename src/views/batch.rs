//! A batch of events on its way into the views.
//!
//! INVARIANT: what is written depends on the events and their payloads alone; a payload that cannot be opened counts as
//! absent, a vault that cannot be reached stops the batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::call::{Call, Spoken};
use super::label::Labels;
use super::status::hash;
use super::{ViewError, administration, call, label};
use crate::core::event::{Event, EventKind, IntentRecorded};
use crate::core::id::Position;
use crate::core::job::Run;
use crate::core::search::words::indexed;
use crate::log::dialect::Dialect;
use crate::log::reading::{ReadError, Reader};
use crate::log::sql::Transaction;
use crate::log::store::PayloadRow;
use crate::log::vault::VaultError;
use crate::tools::told_content;

/// Words of a command that it is found by.
const WORDS: usize = 200;

/// Events with their payloads, read but not yet written.
pub(super) struct Batch {
    events: Vec<Event>,
    parts: HashMap<(Position, &'static str), Value>,
    /// By what the words of its commands, and of names of tools that there are not, are found, by the position of the intent.
    hidden: HashMap<Position, Vec<String>>,
    /// The hash of the last one's leaf.
    leaf: String,
}

impl Batch {
    /// Reads at most `limit` events after `after`, and opens what the views show of them. None if there are no more.
    pub(super) async fn read(reader: &Reader, after: Position, limit: u32) -> Result<Option<Self>, ViewError> {
        let leaves = reader.store.events(after, limit).await?;
        let events = leaves.iter().map(|row| Event::decode(&row.leaf)).collect::<Result<Vec<_>, _>>().map_err(ReadError::from)?;
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(None) };
        let leaf = leaves.last().map(|row| hash(&row.leaf)).unwrap_or_default();
        let rows = reader.store.payloads(first.position, last.position).await?;
        let rows: HashMap<(Position, String), PayloadRow> =
            rows.into_iter().map(|row| ((row.position, row.part.clone()), row)).collect();
        let (mut parts, mut hidden) = (HashMap::new(), HashMap::new());
        for event in &events {
            for name in shown_parts(&event.kind) {
                if let Some(value) = open(reader, event, name, &rows).await? {
                    if let Some(row) = rows.get(&(event.position, (*name).to_owned())) {
                        hidden.extend(of_content(reader, event, &value, &row.key).await?.map(|words| (event.position, words)));
                    }
                    parts.insert((event.position, *name), value);
                }
            }
        }
        Ok(Some(Self { events, parts, hidden, leaf }))
    }

    /// Where the views stand after it.
    pub(super) fn last(&self) -> Position {
        self.events.last().map_or(Position(0), |event| event.position)
    }

    /// The hash of the leaf there.
    pub(super) fn leaf(&self) -> &str {
        &self.leaf
    }

    /// The events.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many events it has.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Writes its rows.
    pub(super) async fn write(&self, transaction: &mut dyn Transaction, dialect: &Dialect) -> Result<(), ViewError> {
        let imported = self.imported();
        label::save(transaction, &imported).await?;
        let mut labels = label::load(transaction, dialect, self.about()).await?;
        labels.extend(imported);
        let known = call::load(transaction, dialect, self.older_calls()).await?;
        administration::save(transaction, dialect, &self.events).await?;
        let calls = self.fold(known, &labels);
        call::save(transaction, calls.into_values().collect()).await
    }

    /// The calls of the batch as its events make them of what was known.
    fn fold(&self, known: Vec<Call>, labels: &Labels) -> BTreeMap<String, Call> {
        let mut calls: BTreeMap<String, Call> = known.into_iter().map(|call| (call.id().to_owned(), call)).collect();
        for event in &self.events {
            let Some(id) = event.kind.call() else { continue };
            match (calls.get_mut(id.as_str()), &event.kind) {
                (Some(call), _) => call.apply(event),
                (None, EventKind::IntentRecorded(intent)) => {
                    let call = Call::recorded(event, intent, self.spoken(event, intent, labels));
                    calls.insert(id.to_string(), call);
                }
                (None, _) => tracing::warn!(call_id = %id, position = event.position.0, "an event of a call without an intent"),
            }
        }
        calls
    }

    /// The calls that begin in the batch, as their intents alone make them.
    pub(super) fn begun(&self, labels: &Labels) -> Vec<Call> {
        let begins = |event: &Event| match &event.kind {
            EventKind::IntentRecorded(intent) => Some(Call::recorded(event, intent, self.spoken(event, intent, labels))),
            _ => None,
        };
        self.events.iter().filter_map(begins).collect()
    }

    fn spoken(&self, event: &Event, intent: &IntentRecorded, labels: &Labels) -> Spoken {
        let said = |part: &'static str, field: &str| Some(plain(self.parts.get(&(event.position, part))?[field].as_str()?));
        Spoken {
            // Of a tool that there is not nothing is public, whatever was recorded as such.
            text: said("arguments", "text").filter(|_| intent.tool != *Run::UNKNOWN).unwrap_or_default(),
            ip: said("subject", "ip"),
            label: label_of(intent, labels),
            hidden: self.hidden.get(&event.position).cloned().unwrap_or_default(),
        }
    }

    /// The labels that the batch gives to VMs.
    pub(super) fn imported(&self) -> Labels {
        let imported = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::VmImported { vm, .. } => {
                let label = self.parts.get(&(event.position, "note"))?["label"].as_str()?;
                Some((vm.to_string(), plain(label)))
            }
            _ => None,
        });
        imported.collect()
    }

    fn about(&self) -> Vec<String> {
        let named = self.events.iter().flat_map(|event| match &event.kind {
            EventKind::IntentRecorded(intent) => intent.resources.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        });
        named.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Calls whose intent is not in this batch.
    fn older_calls(&self) -> Vec<String> {
        let (mut new, mut older) = (BTreeSet::new(), BTreeSet::new());
        for event in &self.events {
            let Some(call) = event.kind.call() else { continue };
            if matches!(event.kind, EventKind::IntentRecorded(_)) {
                new.insert(call);
            } else if !new.contains(call) {
                older.insert(call);
            }
        }
        older.into_iter().map(ToString::to_string).collect()
    }
}

/// The labels of what a call is about.
fn label_of(intent: &IntentRecorded, labels: &Labels) -> Option<String> {
    let known: Vec<&str> = intent.resources.iter().filter_map(|id| labels.get(id.as_str())).map(String::as_str).collect();
    (!known.is_empty()).then(|| known.join(" "))
}

/// The parts of an event that the views show.
fn shown_parts(kind: &EventKind) -> &'static [&'static str] {
    match kind {
        EventKind::IntentRecorded(_) => &["arguments", "subject"],
        EventKind::VmImported { .. } => &["note"],
        _ => &[],
    }
}

async fn open(
    reader: &Reader,
    event: &Event,
    name: &str,
    rows: &HashMap<(Position, String), PayloadRow>,
) -> Result<Option<Value>, ViewError> {
    let Some(named) = event.parts.iter().find(|part| part.part == name) else { return Ok(None) };
    let Some(row) = rows.get(&(event.position, name.to_owned())) else { return Ok(None) };
    match reader.vault.open_part(event, named, row, None).await {
        // Of a part that was too large only the head was kept, which is not JSON any more.
        Ok(plaintext) => Ok(serde_json::from_slice(&plaintext).ok()),
        Err(error @ (VaultError::Sql(_) | VaultError::Taken)) => Err(error.into()),
        Err(VaultError::Sealed | VaultError::Erased(_)) => Ok(None),
    }
}

/// By what the words of a command, or of the name of a tool that there is not, are found, if this is where one was written down.
async fn of_content(reader: &Reader, event: &Event, part: &Value, key: &str) -> Result<Option<Vec<String>>, ViewError> {
    let EventKind::IntentRecorded(intent) = &event.kind else { return Ok(None) };
    let Some(told) = told_content(&intent.tool, &part["args"]) else { return Ok(None) };
    let words: BTreeSet<String> = indexed(told).take(WORDS).collect();
    let words: Vec<String> = words.into_iter().collect();
    Ok(Some(reader.vault.word_digests(key, &intent.account, &words).await?))
}

/// PostgreSQL takes no NUL in a text.
fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
