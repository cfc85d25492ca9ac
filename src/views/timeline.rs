//! The read model of timelines: the events of a call that are none of the steps in its row, such as a late result. Most
//! calls have none. The events themselves are read from the log.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::activity::{Calls, behind, unreadable};
use super::{ViewError, Views};
use crate::core::event::{Event, Kind};
use crate::core::id::{CallId, Position};
use crate::core::refusal::Refusal;
use crate::core::sight::Sight;
use crate::core::time::Micros;
use crate::log::reading::ReadError;
use crate::log::sql::{Holds, Insert, Transaction};
use crate::log::vault::VaultError;
use crate::tools::CallRecord;

/// One event of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Where it is written.
    pub position: Position,
    /// When.
    pub at: Micros,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// The leaf, as JSON; null if it names whom the reader may not know.
    pub leaf: Value,
    /// SHA-256 of the leaf's bytes, hex.
    pub sha256: String,
}

/// How long the steps of a call took, in microseconds; none if a step was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Durations {
    /// From the intent to the decision.
    pub decided: Option<i64>,
    /// From the decision to the start, for a queued call.
    pub queued: Option<i64>,
    /// From the start to the end.
    pub ran: Option<i64>,
    /// From the intent to the end.
    pub total: Option<i64>,
}

/// Everything that is known of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallTimeline {
    /// The call as it is now.
    pub call: CallRecord,
    /// Its redacted arguments; none if their key was erased.
    pub arguments: Option<Value>,
    /// Its redacted result.
    pub result: Option<Value>,
    /// How long it took.
    pub durations: Durations,
    /// Every event, in order.
    pub events: Vec<Moment>,
}

impl Calls {
    /// The timeline of a call, if it may be seen.
    pub async fn timeline(&self, sight: &Sight, call: &CallId) -> Result<Option<CallTimeline>, Refusal> {
        let views = self.views();
        let reached = views.reach().await.map_err(|error| unreadable(&error))?;
        let found = views.timeline(sight, call).await.map_err(|error| unreadable(&error))?;
        if found.is_none() && reached.position < reached.head { Err(behind()) } else { Ok(found) }
    }
}

impl Views {
    async fn timeline(&self, sight: &Sight, call: &CallId) -> Result<Option<CallTimeline>, ViewError> {
        let Some(row) = self.find(sight, call).await? else { return Ok(None) };
        let [intent, decided, started, ended] = row.steps();
        let mut positions = BTreeSet::from(row.steps());
        positions.remove(&Position(0));
        for row in self.database.query("select position from timeline where call = $1", vec![call.as_str().into()]).await? {
            positions.insert(Position(row.int(0)?));
        }
        let mut events = Vec::new();
        for position in positions {
            events.extend(self.moment(position).await?);
        }
        self.withhold(sight, &mut events).await?;
        let arguments =
            self.part(intent, "arguments").await?.map(|mut said| said.get_mut("args").map(Value::take).unwrap_or(said));
        let result = self.part(ended, "result").await?;
        let at = |position: Position| events.iter().find(|moment| moment.position == position).map(|moment| moment.at.0);
        let between = |from: Position, to: Position| at(to).zip(at(from)).map(|(to, from)| to - from);
        let began = if started > Position(0) { started } else { decided };
        let durations = Durations {
            decided: between(intent, decided),
            queued: between(decided, started),
            ran: between(began, ended).filter(|_| decided < ended),
            total: between(intent, ended),
        };
        Ok(Some(CallTimeline { call: row.record(Position(i64::MAX))?, arguments, result, durations, events }))
    }

    /// Takes away the leaves that name a person whom the reader may not know. Their digests stay.
    async fn withhold(&self, sight: &Sight, events: &mut [Moment]) -> Result<(), ViewError> {
        let Some(account) = sight.account() else { return Ok(()) };
        for moment in events.iter_mut() {
            let event: Event = serde_json::from_value(moment.leaf.clone()).map_err(ReadError::from)?;
            let Some(credential) = event.kind.said_by_a_person() else { continue };
            let owner = if let Some(key) = credential { self.owner(key.as_str()).await? } else { None };
            if owner.is_none_or(|owner| owner != account.as_str()) {
                moment.leaf = Value::Null;
            }
        }
        Ok(())
    }

    async fn moment(&self, position: Position) -> Result<Option<Moment>, ViewError> {
        let rows = self.reader.store.events(Position(position.0 - 1), 1).await?;
        let Some(row) = rows.into_iter().find(|row| row.position == position) else { return Ok(None) };
        let leaf = serde_json::from_slice(&row.leaf).map_err(ReadError::from)?;
        let sha256 = hex::encode(Sha256::digest(&row.leaf));
        Ok(Some(Moment { position, at: row.at, kind: row.kind, leaf, sha256 }))
    }

    /// What the event at a position says of the refusals that it counts. Nothing of it is for staff alone.
    pub(super) async fn counted(&self, position: Position) -> Result<Value, ViewError> {
        let Some(event) = self.reader.event(position).await? else { return Ok(Value::Null) };
        Ok(match event.kind {
            Kind::RefusalsCounted { tool, vm, code, count, first, last, mixed, .. } => json!({
                "count": count, "tool": tool, "vm": vm, "code": code, "mixed": mixed, "first": first.document(), "last": last.document(),
            }),
            _ => Value::Null,
        })
    }

    /// A part of an event; of one that was too large, its head as text.
    pub(super) async fn part(&self, position: Position, name: &str) -> Result<Option<Value>, ViewError> {
        if position == Position(0) {
            return Ok(None);
        }
        let Some(event) = self.reader.event(position).await? else { return Ok(None) };
        let rows = self.reader.store.payloads(position, position).await?;
        let named = event.parts.iter().find(|part| part.part == name);
        let Some((named, row)) = named.zip(rows.iter().find(|row| row.part == name)) else { return Ok(None) };
        match self.reader.vault.open_part(&event.id, named, row).await {
            Ok(text) if named.truncated => Ok(Some(json!({ "$size": named.size, "$head": String::from_utf8_lossy(&text) }))),
            Ok(text) => Ok(Some(serde_json::from_slice(&text).map_err(ReadError::from)?)),
            Err(VaultError::Erased(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Notes further events of calls.
pub(super) async fn save(transaction: &mut dyn Transaction, events: impl Iterator<Item = &Event>) -> Result<(), ViewError> {
    let rows = events.filter_map(|event| {
        let call = event.kind.call()?;
        Some(vec![call.as_str().into(), event.position.0.into(), event.at.0.into(), event.kind.name().into()])
    });
    Ok(transaction.insert(&TIMELINE, rows.collect()).await?)
}

/// Further events of calls.
pub static TIMELINE: Insert = Insert {
    table: "timeline",
    columns: &[("call", Holds::Text), ("position", Holds::Int), ("at", Holds::Int), ("type", Holds::Text)],
    on_conflict: "",
};
