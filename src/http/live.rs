//! Calls as they happen, as server-sent events, each with an id by which a client that was cut off goes on where it was.
//!
//! INVARIANT: an id is a position of the log, sealed for whoever was given it: nobody reads out of it how much all others do
//! (P9), and what is not one of a reader's own ids is refused. Whoever watches is asked about again before each thing that is
//! sent, however long it lay there: a key that is revoked, a session that ended and a server that stops end the stream (P8).
//! Nobody watches what was before: a watch goes on from where it is, or from where it began, and no further back, whatever its
//! client says that it has seen. That it began is written down.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::stream::{self, Stream, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Http;
use crate::core::code::Code;
use crate::core::id::Position;
use crate::core::principal::{Principal, Side};
use crate::core::quota::QuotaKind;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::log::vault::VaultError;
use crate::tools::{ActivityQuery, CallRecord, Changes, NodeSlot};

/// How often it is looked for more.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Calls that are sent in that time; of more it is said how many there were.
const MAX_COUNT: usize = 25;

/// How long after a connection broke its watcher is still the same watch, whose beginning is written down.
const BREAK: Duration = Duration::from_mins(1);

/// What ids of events are sealed for.
const PURPOSE: &str = "live/event";

/// Longest id that is looked at.
const MAX_LENGTH: usize = 512;

/// Who has watched what on this node until when, so that a connection that breaks is not a new reading each time.
#[derive(Default)]
pub struct Watches(Mutex<HashMap<Watched, Begun>>);

/// A watch that may go on.
#[derive(Clone, Copy)]
struct Begun {
    /// From where.
    since: Position,
    /// When it was there last.
    until: Micros,
    /// That it began is written down; else only the page before it is.
    is_noted: bool,
}

/// Somebody's session or key, and a digest of what they watch.
pub type Watched = (String, String);

/// Who watches what.
pub fn watched(by: String, what: &Value) -> Watched {
    (by, hex::encode(Sha256::digest(what.to_string())))
}

/// A place among the streams that a caller may have at a time.
pub fn place(http: &Http, who: &Principal) -> Result<NodeSlot, Refusal> {
    let ports = &http.gateway.control().ports;
    ports.places.take(QuotaKind::Streams, ports.terms().quotas.streams, who)
}

impl Watches {
    /// Whether it was watched until a moment ago.
    pub fn goes_on(&self, watched: &Watched, now: Micros) -> bool {
        self.lock().get(watched).is_some_and(|begun| begun.is_noted && now.since(begun.until) <= BREAK)
    }

    /// Somebody has seen how things stood at a position, and may watch from there on.
    pub fn prepare(&self, watched: &Watched, since: Position, now: Micros) {
        self.enter(watched, now, Begun { since, until: now, is_noted: false });
    }

    /// Where a watch goes on: where its client asks for, if that is not before it began, else at the newest position.
    fn begin(&self, watched: &Watched, asked: Option<Position>, newest: Position, now: Micros) -> Position {
        let since = self.enter(watched, now, Begun { since: newest, until: now, is_noted: true });
        asked.filter(|asked| (since..=newest).contains(asked)).unwrap_or(newest)
    }

    /// Goes on with one that is there, or makes one; answers since when.
    fn enter(&self, watched: &Watched, now: Micros, fresh: Begun) -> Position {
        let mut all = self.lock();
        all.retain(|_, begun| now.since(begun.until) <= BREAK);
        let begun = all.entry(watched.clone()).or_insert(fresh);
        begun.until = now;
        begun.is_noted |= fresh.is_noted;
        begun.since
    }

    fn mark(&self, watched: &Watched, now: Micros) {
        if let Some(begun) = self.lock().get_mut(watched) {
            begun.until = now;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Watched, Begun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is told.
pub enum LiveMessage {
    /// A call was decided or has ended, at this position.
    Call(Position, Box<CallRecord>),
    /// So many changes up to this position were too many to send.
    Skipped(Position, usize),
    /// Up to this position there is nothing else.
    Reached(Position),
}

/// Somebody who watches.
pub struct Watch {
    http: Arc<Http>,
    who: Principal,
    /// Digest of the session's cookie, if it is a person.
    session: Option<String>,
    watched: Watched,
    query: ActivityQuery,
    after: Position,
    waiting: VecDeque<LiveMessage>,
    left: usize,
    /// What is waiting was all that there was: it is sent before it is looked for more, a moment later.
    pauses: bool,
    /// Among the streams that its watcher may have.
    _place: NodeSlot,
}

impl Watch {
    /// Watches what `query` finds from `after` on.
    pub fn new(
        http: &Arc<Http>,
        who: Principal,
        session: Option<String>,
        watched: Watched,
        query: ActivityQuery,
        after: Position,
        place: NodeSlot,
    ) -> Self {
        let http = Arc::clone(http);
        Self {
            http,
            who,
            session,
            watched,
            query,
            after,
            waiting: VecDeque::new(),
            left: MAX_COUNT,
            pauses: false,
            _place: place,
        }
    }

    /// What happens, each with its id and as `to_json` shows it, until it may not be watched any more.
    pub fn stream<F: Future<Output = Value> + Send>(
        self,
        side: Side,
        to_json: impl Fn(Arc<LiveMessage>) -> F + Send,
    ) -> impl Stream<Item = Event> + Send {
        stream::unfold((self, to_json), move |(mut watch, to_json)| async move {
            let told = Arc::new(watch.next().await?);
            // Without an id it could not be gone on from here: the stream ends, and the client comes again.
            let id = sealed(&watch.http, &watch.watched.0, told.position()).await.ok()?;
            let shown = to_json(Arc::clone(&told)).await;
            // Asked last of all: what has ended by now is told nothing of what was read, sealed and shown meanwhile.
            watch.may_go_on().await.then(|| (event(&told, id, &shown, side), (watch, to_json)))
        })
    }

    async fn next(&mut self) -> Option<LiveMessage> {
        loop {
            if let Some(told) = self.waiting.pop_front() {
                return Some(told);
            }
            if std::mem::take(&mut self.pauses) {
                tokio::time::sleep(POLL_INTERVAL).await;
                self.left = MAX_COUNT;
            }
            if !self.may_go_on().await {
                return None;
            }
            let gateway = &self.http.gateway;
            // A key that is rotated meanwhile sees what it does by its next secret, too.
            self.query.visibility = Visibility::of(&self.who, &gateway.state());
            let changes = gateway.control().ports.activity.changes(self.query.clone(), self.after).await;
            // A view that is behind catches up; one that cannot be read ends the stream, and the client comes again.
            let Ok(changes) = changes else { return None };
            self.pauses = !changes.is_behind;
            self.take(changes);
        }
    }

    fn take(&mut self, changes: Changes) {
        let Changes { items, position, .. } = changes;
        let skipped = items.len().saturating_sub(self.left);
        for change in items.into_iter().take(self.left) {
            self.left -= 1;
            self.waiting.push_back(LiveMessage::Call(change.position, Box::new(change.call)));
        }
        if skipped > 0 {
            self.waiting.push_back(LiveMessage::Skipped(position, skipped));
        } else if position > self.after {
            self.waiting.push_back(LiveMessage::Reached(position));
        }
        self.after = position;
    }

    async fn may_go_on(&self) -> bool {
        if self.http.is_draining() || self.http.gateway.check_alive(&self.who).await.is_err() {
            return false;
        }
        self.http.watches.mark(&self.watched, self.http.gateway.control().ports.clock.now());
        let Some(session) = &self.session else { return true };
        // As for every page; and watching is no use of the session, which would never end by itself.
        self.http.sessions.stands(session).await.unwrap_or(false)
    }
}

impl LiveMessage {
    fn position(&self) -> Position {
        let (Self::Call(position, _) | Self::Skipped(position, _) | Self::Reached(position)) = self;
        *position
    }
}

/// Where to begin: after the event that the client has last seen, or after `asked`, if it watched then; else at the newest one.
/// What is no id of theirs is refused: to begin anywhere else would be a gap that nobody sees.
pub async fn beginning(http: &Http, headers: &HeaderMap, asked: Option<&str>, watched: &Watched) -> Result<Position, Refusal> {
    let ports = &http.gateway.control().ports;
    let newest = ports.activity.position().await?;
    let mut seen = headers.get_all("last-event-id").iter();
    let given = match (seen.next(), seen.next()) {
        (None, _) => asked.and_then(|text| text.parse().ok()).map(Position),
        (Some(id), None) => {
            let position = opened(http, &watched.0, id.as_bytes()).await.map_err(Refusal::from)?;
            Some(position.ok_or_else(foreign)?)
        }
        (Some(_), Some(_)) => return Err(foreign()),
    };
    Ok(http.watches.begin(watched, given, newest, ports.clock.now()))
}

fn foreign() -> Refusal {
    let text = "The Last-Event-ID is none that this stream has given you.";
    Refusal::new(Code::ValidationFailed, text).hint("Leave it out to begin with what happens now.")
}

/// The id of what is at `position`, for `reader` alone.
async fn sealed(http: &Http, reader: &str, position: Position) -> Result<String, VaultError> {
    let plain = [position.0.to_be_bytes().as_slice(), reader.as_bytes()].concat();
    Ok(URL_SAFE_NO_PAD.encode(http.gateway.control().ports.reader.vault.seal_cookie(PURPOSE, &plain).await?))
}

async fn opened(http: &Http, reader: &str, id: &[u8]) -> Result<Option<Position>, VaultError> {
    let Some(sealed) = Some(id).filter(|id| id.len() <= MAX_LENGTH).and_then(|id| URL_SAFE_NO_PAD.decode(id).ok()) else {
        return Ok(None);
    };
    let plain = http.gateway.control().ports.reader.vault.open_cookie(PURPOSE, &sealed).await?.unwrap_or_default();
    let Some((position, of)) = plain.split_first_chunk() else { return Ok(None) };
    Ok((of == reader.as_bytes()).then(|| Position(i64::from_be_bytes(*position))))
}

/// `told` as an event; `shown` is the call as this client gets it. Positions are for the staff, who see the whole log.
fn event(told: &LiveMessage, id: String, shown: &Value, side: Side) -> Event {
    let (name, mut data) = match told {
        LiveMessage::Call(..) => ("call", shown.clone()),
        LiveMessage::Skipped(_, skipped) => ("skipped", json!({ "skipped": skipped })),
        LiveMessage::Reached(_) => ("reached", json!({})),
    };
    if let (Side::Staff, LiveMessage::Skipped(..) | LiveMessage::Reached(_), Some(fields)) = (side, told, data.as_object_mut()) {
        fields.insert("position".into(), json!(told.position()));
    }
    Event::default().event(name).id(id).data(data.to_string())
}

/// The answer that goes on.
pub fn answer(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let mut response = Sse::new(events.map(Ok::<_, std::convert::Infallible>)).keep_alive(KeepAlive::default()).into_response();
    // A proxy that gathers what it passes on would hold events back.
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
