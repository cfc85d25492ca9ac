//! Timelines: every event of a call with its leaf, and what was recorded beside them. All of it is read from the log.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::activity::{Calls, behind, unreadable};
use super::{ViewError, Views};
use crate::core::event::Event;
use crate::core::id::{CallId, Position};
use crate::core::refusal::Refusal;
use crate::core::visibility::Visibility;
use crate::log::reading::ReadError;
use crate::log::store::EventRow;
use crate::tools::{CallTimeline, Durations, Moment};

impl Calls {
    /// The timeline of a call, if it may be seen.
    pub async fn timeline(&self, visibility: &Visibility, call: &CallId) -> Result<Option<CallTimeline>, Refusal> {
        let views = self.views();
        let reached = views.reach().await.map_err(|error| unreadable(&error))?;
        let found = views.timeline(visibility, call).await.map_err(|error| unreadable(&error))?;
        if found.is_none() && reached.position < reached.head { Err(behind()) } else { Ok(found) }
    }
}

impl Views {
    async fn timeline(&self, visibility: &Visibility, call: &CallId) -> Result<Option<CallTimeline>, ViewError> {
        let Some(row) = self.find(visibility, call).await? else { return Ok(None) };
        let [intent, decided, started, ended] = row.steps();
        let (mut events, mut steps) = (Vec::new(), [None, None]);
        let log = self.reader.store.of_calls(std::slice::from_ref(call)).await.map_err(ReadError::from)?;
        for row in log {
            for (step, _) in steps.iter_mut().zip([intent, ended]).filter(|(_, at)| *at == row.position) {
                *step = Some(Event::decode(&row.leaf).map_err(ReadError::from)?);
            }
            events.push(moment(row)?);
        }
        self.withhold(visibility, &mut events).await?;
        let [asked, ended_by] = steps;
        let arguments = self.part(asked.as_ref(), "arguments", visibility).await?;
        let arguments = arguments.map(|mut said| said.get_mut("args").map(Value::take).unwrap_or(said));
        let result = self.part(ended_by.as_ref(), "result", visibility).await?;
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
    async fn withhold(&self, visibility: &Visibility, events: &mut [Moment]) -> Result<(), ViewError> {
        let Some(account) = visibility.account() else { return Ok(()) };
        for moment in events.iter_mut() {
            let event: Event = serde_json::from_value(moment.leaf.clone()).map_err(ReadError::from)?;
            let Some(credential) = event.kind.said_by_a_person() else { continue };
            let of = if let Some(key) = credential { self.owner(key.as_str()).await? } else { None };
            if of.and_then(|of| of.account).is_none_or(|owner| owner != account.as_str()) {
                moment.leaf = Value::Null;
            }
        }
        Ok(())
    }

    async fn part(&self, event: Option<&Event>, name: &str, visibility: &Visibility) -> Result<Option<Value>, ViewError> {
        let Some(event) = event else { return Ok(None) };
        Ok(self.reader.part(event, name, visibility).await?)
    }
}

fn moment(row: EventRow) -> Result<Moment, ViewError> {
    let leaf = serde_json::from_slice(&row.leaf).map_err(ReadError::from)?;
    Ok(Moment { position: row.position, at: row.at, kind: row.kind, leaf, sha256: hex::encode(Sha256::digest(&row.leaf)) })
}
