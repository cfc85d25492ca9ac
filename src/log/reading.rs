//! Reading back: events by position, calls by their events, and parts in plaintext for whoever may see them.
//!
//! INVARIANT: what is opened for a reader is of a call that the reader may see, as the leaves say whose it is, and lies under a
//! key of that account. What a row beside the log says of it opens nothing (P9).

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::call_rows::fold;
use super::row_names::job_row;
use super::store::{Store, StoreError};
use super::vault::{Vault, VaultError};
use crate::core::chain::Chain;
use crate::core::event::{Event, EventKind, LeafError};
use crate::core::id::{AccountId, CallId, Position};
use crate::core::job::Job;
use crate::core::state::ControlState;
use crate::core::visibility::Visibility;

/// An event or a part that could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log room failed.
    #[error("reading the log")]
    Store(#[from] StoreError),
    /// A leaf is not of this schema.
    #[error("reading a leaf")]
    Leaf(#[from] LeafError),
    /// A part cannot be opened.
    #[error("opening a payload")]
    Vault(#[from] VaultError),
    /// A part is not JSON.
    #[error("reading a payload")]
    Json(#[from] serde_json::Error),
}

/// What a call was asked with, and what it ended with, as far as that can be opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SaidInCall {
    /// The part of its intent: `args` and `text`.
    pub arguments: Option<Value>,
    /// Its result.
    pub result: Option<Value>,
}

/// Reads events and opens their parts.
#[derive(Clone)]
pub struct Reader {
    /// The log room.
    pub store: Arc<dyn Store>,
    /// The keys.
    pub vault: Arc<Vault>,
}

impl Reader {
    /// At most `limit` events after `after`.
    pub async fn events(&self, after: Position, limit: u32) -> Result<Vec<Event>, ReadError> {
        let rows = self.store.events(after, limit).await?;
        rows.iter().map(|row| Ok(Event::decode(&row.leaf)?)).collect()
    }

    /// The event at a position.
    pub async fn event(&self, position: Position) -> Result<Option<Event>, ReadError> {
        let found = self.events(Position(position.0 - 1), 1).await?;
        Ok(found.into_iter().find(|event| event.position == position))
    }

    /// A call as its events make it.
    pub async fn chain(&self, call: &CallId) -> Result<Option<Chain>, ReadError> {
        Ok(fold(call, self.store.of_calls(std::slice::from_ref(call)).await?.iter())?)
    }

    /// The row of an open call: what the transaction that ends it has to read.
    pub async fn job(&self, call: &CallId) -> Result<Option<Job>, StoreError> {
        let rows = self.store.state_rows(&[job_row(call)]).await?;
        Ok(rows.first().and_then(|row| serde_json::from_slice(&row.doc).ok()))
    }

    /// The events of these calls, in order.
    pub async fn of_calls(&self, calls: &[CallId]) -> Result<Vec<Event>, ReadError> {
        let rows = self.store.of_calls(calls).await?;
        rows.iter().map(|row| Ok(Event::decode(&row.leaf)?)).collect()
    }

    /// Whose call an event is of; none unless `visibility` has that call.
    async fn seen(&self, event: &Event, visibility: &Visibility) -> Result<Option<AccountId>, ReadError> {
        let Some(call) = event.kind.call() else { return Ok(None) };
        let asked = self.chain(call).await?.map(|chain| chain.asked);
        let seen = asked.filter(|asked| visibility.call(&asked.account, asked.credential.as_str()));
        if seen.is_none() {
            tracing::error!(call_id = %call, position = event.position.0, "a row led a reader to a call of others; nothing is shown");
        }
        Ok(seen.map(|asked| asked.account))
    }

    /// A part of an event, for a reader; of one that was too large, its head as text. None if the event has no such part, its
    /// key was erased, or the reader may not see it: only who sees everything sees what belongs to no call.
    pub async fn part(&self, event: &Event, name: &str, visibility: &Visibility) -> Result<Option<Value>, ReadError> {
        if !event.parts.iter().any(|part| part.part == name) {
            return Ok(None);
        }
        if visibility.is_everything() {
            return self.open(event, name, None).await;
        }
        let Some(account) = self.seen(event, visibility).await? else { return Ok(None) };
        self.open(event, name, Some(&account)).await
    }

    /// What an event outside of calls tells whoever sees what it is about.
    pub async fn message(
        &self,
        event: &Event,
        visibility: &Visibility,
        state: &ControlState,
    ) -> Result<Option<Value>, ReadError> {
        let tells = matches!(event.kind, EventKind::SwitchEngaged { .. }) && visibility.event(&event.kind, state);
        let note = if tells { self.open(event, "note", None).await? } else { None };
        Ok(note.and_then(|mut note| Some(note.get_mut("message")?.take())))
    }

    /// Opens a part, which lies under a key of `account` if one is named.
    async fn open(&self, event: &Event, name: &str, account: Option<&AccountId>) -> Result<Option<Value>, ReadError> {
        let Some(named) = event.parts.iter().find(|part| part.part == name) else { return Ok(None) };
        let rows = self.store.payloads(event.position, event.position).await?;
        let Some(row) = rows.iter().find(|row| row.part == name) else { return Ok(None) };
        match self.vault.open_part(event, named, row, account).await {
            Ok(text) if named.truncated => Ok(Some(json!({ "$size": named.size, "$head": String::from_utf8_lossy(&text) }))),
            Ok(plaintext) => Ok(Some(serde_json::from_slice(&plaintext)?)),
            Err(VaultError::Erased(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What calls were asked with and what they ended with, for a reader; of those that the reader may not see nothing. A part that
    /// cannot be opened is left out: a list is shown without it.
    pub async fn said_in(&self, calls: &[CallId], visibility: &Visibility) -> Result<HashMap<CallId, SaidInCall>, ReadError> {
        let mut said = HashMap::new();
        for (call, (chain, events)) in self.chains_of(calls, visibility).await? {
            let account = &chain.asked.account;
            let arguments = self.listed(&events, Some(chain.intent), "arguments", account).await;
            let result = self.listed(&events, chain.end, "result", account).await;
            said.insert(call, SaidInCall { arguments, result });
        }
        Ok(said)
    }

    /// The results that calls ended with, for a reader; of those that the reader may not see nothing.
    pub async fn results_of(&self, calls: &[CallId], visibility: &Visibility) -> Result<HashMap<CallId, Value>, ReadError> {
        let mut results = HashMap::new();
        for (call, (chain, events)) in self.chains_of(calls, visibility).await? {
            let Some(end) = events.iter().find(|event| Some(event.position) == chain.end) else { continue };
            results.extend(self.open(end, "result", Some(&chain.asked.account)).await?.map(|result| (call, result)));
        }
        Ok(results)
    }

    /// Calls with their events, as far as a reader may see them, in one read.
    async fn chains_of(
        &self,
        calls: &[CallId],
        visibility: &Visibility,
    ) -> Result<HashMap<CallId, (Chain, Vec<Event>)>, ReadError> {
        let mut own: HashMap<CallId, Vec<Event>> = HashMap::new();
        for event in self.of_calls(calls).await? {
            if let Some(call) = event.kind.call().cloned() {
                own.entry(call).or_default().push(event);
            }
        }
        let seen = |one: &Chain| visibility.call(&one.asked.account, one.asked.credential.as_str());
        let chained = own.into_iter().filter_map(|(call, events)| {
            let chain = Chain::of(&call, &events).ok().flatten().filter(seen)?;
            Some((call, (chain, events)))
        });
        Ok(chained.collect())
    }

    async fn listed(&self, events: &[Event], at: Option<Position>, name: &str, account: &AccountId) -> Option<Value> {
        let event = events.iter().find(|event| Some(event.position) == at)?;
        let opened = self.open(event, name, Some(account)).await;
        opened.inspect_err(|error| tracing::warn!(%error, position = event.position.0, "a part is not listed")).ok()?
    }

    /// The result that a call ended with, for a reader.
    pub async fn result_of(&self, call: &CallId, visibility: &Visibility) -> Result<Option<Value>, ReadError> {
        let Some(end) = self.chain(call).await?.and_then(|chain| chain.end) else { return Ok(None) };
        let Some(event) = self.event(end).await? else { return Ok(None) };
        self.part(&event, "result", visibility).await
    }
}
