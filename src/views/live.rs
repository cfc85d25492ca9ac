//! What becomes of calls as it happens: each decision and each end, in the order of the log.
//!
//! INVARIANT: a change is shown as the call stood at the change's own position, so that reading on from any position yields
//! the same changes again: none is missing and none is there twice.

use super::ViewError;
use super::activity::Calls;
use super::call::Call;
use super::filter::select;
use super::hidden::HiddenWords;
use super::page::Cursor;
use crate::core::event::{Event, EventKind};
use crate::core::id::{CallId, Position};
use crate::core::search::{Field, Term};
use crate::tools::{ActivityQuery, Change, Changes};

/// Events that are looked at together.
const TOGETHER: u32 = 200;

impl Calls {
    pub(super) async fn changed(&self, query: &ActivityQuery, after: Position) -> Result<Changes, ViewError> {
        let reached = self.views().reach().await?;
        let events = self.views().reader.events(after, TOGETHER).await?;
        let is_behind = events.len() >= usize::try_from(TOGETHER).unwrap_or(usize::MAX);
        let seen: Vec<&Event> = events.iter().take_while(|event| event.position <= reached.position).collect();
        let position = seen.last().map_or(after, |event| event.position);
        let changed = |event: &&Event| Some((event.position, event.kind.call().filter(|_| is_live(&event.kind))?.clone()));
        let changed: Vec<(Position, CallId)> = seen.iter().filter_map(changed).collect();
        let mut items = Vec::new();
        if changed.is_empty() {
            return Ok(Changes { items, position, is_behind });
        }
        let turn = self.turn(&query.visibility).await?;
        let hidden = self.hidden_words(&turn, query).await?;
        drop(turn);
        for (position, call) in changed {
            items.extend(self.at((query, &hidden), &call, position).await?);
        }
        Ok(Changes { items, position, is_behind })
    }

    /// The call as it stood then, if the search found it then.
    async fn at(
        &self,
        (query, hidden): (&ActivityQuery, &HiddenWords),
        call: &CallId,
        position: Position,
    ) -> Result<Option<Change>, ViewError> {
        let mut query = query.clone();
        query.search.terms.push(Term { field: Field::Call, values: vec![call.to_string()], without: false });
        let then = Cursor { as_of: position, before: position.next() };
        let (sql, args) = select((&query, hidden), then, 1, self.views().database.dialect());
        let turn = self.turn(&query.visibility).await?;
        let rows = self.query_rows(&turn, &sql, args).await?;
        drop(turn);
        let found = rows.first().map(Call::read).transpose()?.into_iter().collect();
        let Some(call) = self.views().held(found).await?.pop() else { return Ok(None) };
        Ok(Some(Change { position, call: call.record(position)? }))
    }
}

/// The events that change how a call stands for whoever watches: it is decided, or it ends.
fn is_live(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Admitted(_) | EventKind::Refused(_) | EventKind::Held { .. }) || kind.end().is_some()
}
