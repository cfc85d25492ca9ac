//! Answers what happened: a page of calls, one call.
//!
//! INVARIANT: an answer holds everything that was in the log when it was asked for, or says by its `as_of` that it does
//! not; a call that the views have not reached yet is never said to be absent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::call::{COLUMNS, Call};
use super::filter::select;
use super::hidden::HiddenWords;
use super::page::Cursor;
use super::query_slots::{QuerySlot, QuerySlots};
use super::{ViewError, Views};
use crate::core::code::Code;
use crate::core::event::Event;
use crate::core::id::{CallId, Position};
use crate::core::refusal::Refusal;
use crate::core::visibility::Visibility;
use crate::log::reading::Reader;
use crate::log::sql::{Row, SqlError, Value};
use crate::tools::{
    Activity, ActivityPage, ActivityQuery, AdministrationPage, AdministrationQuery, CallRecord, CallTimeline, Changes, Histogram,
};

/// How long a reader waits for the views.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How to find the same faster.
const NARROW: &str =
    "Narrow it: a shorter time such as last:1h, one account, one VM or one tool, whole words instead of beginnings.";

/// How to be answered sooner.
const FEWER: &str = "Ask for one page after the other: an account has a few at a time, the others wait.";

/// How long one look into the views may take, if nobody says otherwise.
#[cfg(feature = "testing")]
pub const BUDGET: Duration = Duration::from_secs(5);

/// The calls, as the views know them.
pub struct Calls {
    views: Arc<Views>,
    budget: Duration,
    turns: QuerySlots,
}

/// How far the views are, and how far the log was when that was asked for.
#[derive(Clone, Copy)]
pub(super) struct Reached {
    pub(super) head: Position,
    pub(super) position: Position,
}

impl Calls {
    /// Reads from `views`, and brings them up to date first.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn new(views: Arc<Views>) -> Self {
        Self::within(views, BUDGET)
    }

    /// The same, and no look into them takes longer than `budget`.
    #[must_use]
    pub fn within(views: Arc<Views>, budget: Duration) -> Self {
        Self { views, budget, turns: QuerySlots::default() }
    }

    /// Waits for the turn of who may see this much.
    pub(super) async fn turn(&self, visibility: &Visibility) -> Result<QuerySlot, ViewError> {
        self.turns.take(visibility).await
    }

    /// Looks into the views for as long as that may take, in a turn.
    pub(super) async fn query_rows(&self, _turn: &QuerySlot, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, ViewError> {
        Ok(self.views.database.query_within(sql, args, self.budget).await?)
    }

    /// The words of a search as commands are found by them now. Made in a turn: digests are work too.
    pub(super) async fn hidden_words(&self, _turn: &QuerySlot, query: &ActivityQuery) -> Result<HiddenWords, ViewError> {
        let newest = self.views.reader.store.head().await?.at;
        self.views.hidden_words(query, newest).await
    }

    /// The views beneath.
    #[must_use]
    pub fn views(&self) -> &Arc<Views> {
        &self.views
    }

    /// Where a page begins: at the newest event, or where the page before ended.
    async fn start(&self, cursor: Option<&String>, as_of: Option<Position>) -> Result<Result<Cursor, Refusal>, ViewError> {
        let reached = self.views.reach().await?;
        Ok(match cursor {
            None => match as_of.unwrap_or(reached.position) {
                as_of if as_of > reached.position => Err(behind()),
                as_of => Ok(Cursor { as_of, before: as_of.next() }),
            },
            Some(text) => match Cursor::open(text, reached.head, &self.views.reader.vault).await? {
                Ok(cursor) if cursor.as_of > reached.position => Err(behind()),
                read => read,
            },
        })
    }

    /// Where the page after this one begins, sealed; none if there is none.
    pub(super) async fn go_on(&self, from: Cursor, before: Option<Position>) -> Result<Option<String>, ViewError> {
        let Some(before) = before else { return Ok(None) };
        Ok(Some(Cursor { as_of: from.as_of, before }.seal(&self.views.reader.vault).await?))
    }

    async fn page(&self, query: &ActivityQuery) -> Result<Result<ActivityPage, Refusal>, ViewError> {
        let from = match self.start(query.cursor.as_ref(), query.as_of).await? {
            Ok(from) => from,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let turn = self.turn(&query.visibility).await?;
        let hidden = self.hidden_words(&turn, query).await?;
        let (sql, args) = select((query, &hidden), from, query.limit + 1, self.views.database.dialect());
        let rows = self.query_rows(&turn, &sql, args).await?;
        drop(turn);
        let size = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let calls: Vec<Call> = rows.iter().take(size).map(Call::read).collect::<Result<_, _>>()?;
        let before = calls.last().filter(|_| rows.len() > size).map(Call::intent);
        let calls = self.views.held(calls).await?.into_iter();
        let items = calls.map(|call| call.record(from.as_of)).collect::<Result<_, _>>()?;
        let next_cursor = self.go_on(from, before).await?;
        Ok(Ok(ActivityPage { items, next_cursor, as_of: from.as_of }))
    }
}

impl Views {
    /// Waits, bounded, until the views have what the log has now.
    pub(super) async fn reach(&self) -> Result<Reached, ViewError> {
        let head = self.reader.store.head().await?.position;
        let position = match tokio::time::timeout(TIMEOUT, self.catch_up(head)).await {
            Ok(position) => position?,
            Err(_) => self.position().await?,
        };
        Ok(Reached { head, position })
    }

    /// These calls as their own events say. Whoever can write the views' database could name another account in a row, and show it
    /// to that one (P9), or another end.
    pub(super) async fn held(&self, calls: Vec<Call>) -> Result<Vec<Call>, ViewError> {
        if calls.is_empty() {
            return Ok(calls);
        }
        let ids: Vec<CallId> = calls.iter().filter_map(|call| call.id().parse().ok()).collect();
        let events = by_call(&self.reader, &ids).await?;
        let logged = |call: Call| {
            let own = call.id().parse().ok().and_then(|id: CallId| events.get(&id));
            call.logged_by(own.map_or(&[][..], Vec::as_slice))
        };
        Ok(calls.into_iter().filter_map(logged).collect())
    }

    /// One call as it is now, if it may be seen.
    pub(super) async fn find(&self, visibility: &Visibility, call: &CallId) -> Result<Option<Call>, ViewError> {
        Ok(self.find_all(visibility, std::slice::from_ref(call)).await?.pop())
    }

    /// Calls as they are now, those that may be seen.
    async fn find_all(&self, visibility: &Visibility, calls: &[CallId]) -> Result<Vec<Call>, ViewError> {
        let sql = format!("select {COLUMNS} from call where call {}", self.database.dialect().among);
        let ids = Value::Texts(calls.iter().map(ToString::to_string).collect());
        let rows = self.database.query(&sql, vec![ids]).await?;
        let found: Vec<Call> = rows.iter().map(Call::read).collect::<Result<_, _>>()?;
        self.held(found.into_iter().filter(|call| call.is_in(visibility)).collect()).await
    }
}

/// The events of these calls, in order, by call.
pub(super) async fn by_call(reader: &Reader, ids: &[CallId]) -> Result<HashMap<CallId, Vec<Event>>, ViewError> {
    let mut events: HashMap<CallId, Vec<Event>> = HashMap::new();
    for event in reader.of_calls(ids).await? {
        if let Some(call) = event.kind.call().cloned() {
            events.entry(call).or_default().push(event);
        }
    }
    Ok(events)
}

fn check_limit(limit: u32) -> Result<(), Refusal> {
    let largest = ActivityQuery::LARGEST;
    let refusal = || Refusal::new(Code::ValidationFailed, format!("limit must be from 1 to {largest}."));
    (1..=largest).contains(&limit).then_some(()).ok_or_else(refusal)
}

/// The views do not show yet what was asked for.
pub(super) fn behind() -> Refusal {
    let refusal = Refusal::new(Code::Overloaded, "The record of activity is being brought up to date.");
    refusal.retry_after(Duration::from_secs(1))
}

/// Nothing can be said: the views or the log cannot be read.
pub(super) fn unreadable(error: &ViewError) -> Refusal {
    if let ViewError::Sql(SqlError::TooLong(budget)) = error {
        let text = format!("The search took longer than {} ms, so it was ended.", budget.as_millis());
        return Refusal::new(Code::SearchTimedOut, text).hint(NARROW);
    }
    if matches!(error, ViewError::Busy) {
        let text = "Too much is asked of the record of activity at once.";
        return Refusal::new(Code::Overloaded, text).retry_after(Duration::from_secs(1)).hint(FEWER);
    }
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, source, "activity cannot be read");
    Refusal::new(Code::InternalError, "The record of activity cannot be read now.")
}

#[async_trait]
impl Activity for Calls {
    async fn position(&self) -> Result<Position, Refusal> {
        self.views.position().await.map_err(|error| unreadable(&error))
    }

    fn seen(&self) -> Position {
        self.views.seen()
    }

    async fn list(&self, query: ActivityQuery) -> Result<ActivityPage, Refusal> {
        check_limit(query.limit)?;
        self.page(&query).await.map_err(|error| unreadable(&error))?
    }

    async fn administration(&self, query: AdministrationQuery) -> Result<AdministrationPage, Refusal> {
        check_limit(query.limit)?;
        let mut from = self.start(query.cursor.as_ref(), None).await.map_err(|error| unreadable(&error))??;
        from.before = query.before.map_or(from.before, |before| before.min(from.before));
        Self::administration(self, &query, from).await.map_err(|error| unreadable(&error))
    }

    async fn histogram(&self, query: ActivityQuery, buckets: u32) -> Result<Histogram, Refusal> {
        self.count(&query, buckets.clamp(1, ActivityQuery::LARGEST)).await.map_err(|error| unreadable(&error))
    }

    async fn changes(&self, query: ActivityQuery, after: Position) -> Result<Changes, Refusal> {
        self.changed(&query, after).await.map_err(|error| unreadable(&error))
    }

    async fn call(&self, visibility: &Visibility, call: &CallId) -> Result<Option<CallRecord>, Refusal> {
        let reached = self.views.reach().await.map_err(|error| unreadable(&error))?;
        let found = self.views.find(visibility, call).await.map_err(|error| unreadable(&error))?;
        match found {
            Some(call) => call.record(Position(i64::MAX)).map(Some).map_err(|error| unreadable(&error)),
            None if reached.position < reached.head => Err(behind()),
            None => Ok(None),
        }
    }

    async fn calls(&self, visibility: &Visibility, calls: &[CallId]) -> Result<Vec<CallRecord>, Refusal> {
        let found = self.views.find_all(visibility, calls).await.map_err(|error| unreadable(&error))?;
        let record = |call: Call| call.record(Position(i64::MAX)).map_err(|error| unreadable(&error));
        found.into_iter().map(record).collect()
    }

    async fn timeline(&self, visibility: &Visibility, call: &CallId) -> Result<Option<CallTimeline>, Refusal> {
        Self::timeline(self, visibility, call).await
    }
}
