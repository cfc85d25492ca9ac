//! A pipe: each line is a request to the server's MCP endpoint, and what that answers is lines again.
//!
//! ```text
//! client ▶ line ▶ Asked ▶ POST (session, version, key) ▶ server        server ▶ document | events | problem ▶ line ▶ client
//! ```
//!
//! INVARIANT: nothing is decided here and nothing is kept: the server authenticates each request, records it and answers it. A
//! request is answered once, or was taken back; what was sent and not answered is never said not to have happened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer, Held, message_in};
use super::lines::{Line, Lines, Out};
use super::request_line::{Kind, RequestLine, key_of};
use super::session::{Session, Shared};
use super::wire::{Unanswered, Wire};
use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// Requests that are at the server at a time, and that wait for their turn with them.
const MAX_CONCURRENT: usize = 64;
const OPEN: usize = 1024;

/// How long whatever is only told may take, and the beginning of a conversation.
pub(super) const TELLING: Duration = Duration::from_secs(30);

/// How long requests may still be answered once nothing more comes in.
const DRAIN: Duration = Duration::from_secs(5);

/// How long the server may take to hear that the conversation is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// When a stream that broke is asked for again, and how often if nothing comes of it.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_ATTEMPTS: usize = 3;

/// How long a request that is taken back may take to get to the server, which would not know it otherwise.
const ARRIVAL: Duration = Duration::from_secs(2);

/// When a server that had no place for it is asked again for what it says by itself.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// One conversation.
pub struct Pipe {
    pub(super) wire: Wire,
    pub(super) out: Out,
    pub(super) session: Shared,
    /// Held by whoever begins it again.
    pub(super) beginning: tokio::sync::Mutex<()>,
    /// Counts the conversations in which the server may say something by itself.
    pub(super) ready: watch::Sender<u64>,
    turns: Semaphore,
    open: Mutex<HashMap<String, Open>>,
}

/// A request that is not answered yet.
#[derive(Clone)]
struct Open {
    is_modern: bool,
    taken_back: CancellationToken,
    /// The server has it.
    arrived: CancellationToken,
}

impl Open {
    fn new(asked: &RequestLine) -> Self {
        Self { is_modern: asked.is_modern(), taken_back: CancellationToken::new(), arrived: CancellationToken::new() }
    }
}

impl Pipe {
    /// A pipe to the endpoint at the end of `wire`.
    pub fn new(wire: Wire) -> Arc<Self> {
        Arc::new(Self {
            wire,
            out: Out::new(),
            session: Shared::default(),
            beginning: tokio::sync::Mutex::default(),
            ready: watch::Sender::new(0),
            turns: Semaphore::new(MAX_CONCURRENT),
            open: Mutex::default(),
        })
    }

    /// Passes lines on until there are no more, nobody reads the answers, or `stop` resolves.
    pub async fn run(self: Arc<Self>, input: impl AsyncRead + Unpin, stop: impl Future<Output = ()>) {
        let (mut lines, mut tasks) = (Lines::of(input), JoinSet::new());
        let mut listening = JoinSet::new();
        listening.spawn(Arc::clone(&self).listen());
        tokio::pin!(stop);
        loop {
            let next = async {
                let line = lines.next().await?;
                while tasks.try_join_next().is_some() {}
                self.take(line, &mut tasks).await;
                Some(())
            };
            let goes_on = tokio::select! {
                goes_on = next => goes_on.is_some(),
                () = self.out.gone.cancelled() => false,
                () = &mut stop => false,
            };
            if !goes_on {
                break;
            }
        }
        // Whoever only reads what a command prints closes its input first.
        let _ = tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await;
        tasks.shutdown().await;
        listening.shutdown().await;
        self.leave(self.session.get()).await;
    }

    async fn take(self: &Arc<Self>, line: Line, tasks: &mut JoinSet<()>) {
        let Line::Whole(line) = line else {
            let refusal = Refusal::new(Code::TooLarge, "The line is longer than any message may be.");
            return self.out.say(&answer::error(&Value::Null, &refusal)).await;
        };
        let asked = RequestLine::of(&line);
        match asked.kind() {
            Kind::Hello => self.begin(line, &asked).await,
            Kind::Told if asked.is_ready() => {
                self.notify(&line, &asked).await;
                self.ready.send_modify(|turn| *turn += 1);
            }
            // Nobody waits for what is only told, least of all a stop that comes after it.
            Kind::Cancel | Kind::Told if tasks.len() >= OPEN => tracing::warn!("the server is not told: too much is under way"),
            Kind::Cancel => drop(tasks.spawn(Arc::clone(self).take_back(line, asked))),
            Kind::Told => drop(tasks.spawn(Arc::clone(self).pass(line, asked))),
            // In order, as long as there is no conversation that orders them.
            Kind::Request if !asked.is_modern() && !self.session.get().is_begun() => {
                let open = self.opened(&asked);
                Arc::clone(self).ask(line, asked, open).await;
            }
            Kind::Request if tasks.len() >= OPEN && !asked.stops() => {
                let refusal = Refusal::new(Code::Overloaded, "Too many requests wait for their answers.").retry_after(PAUSE);
                self.out.say(&answer::error(asked.id(), &refusal)).await;
            }
            Kind::Request => {
                let open = self.opened(&asked);
                tasks.spawn(Arc::clone(self).ask(line, asked, open));
            }
        }
    }

    /// A request that may be taken back from here on.
    fn opened(&self, asked: &RequestLine) -> Open {
        let open = Open::new(asked);
        self.open().insert(key_of(asked.id()), open.clone());
        open
    }

    /// A request, until it is answered or taken back.
    async fn ask(self: Arc<Self>, line: Bytes, asked: RequestLine, open: Open) {
        let answered = async {
            // It is never closed. What stops something takes no turn: those that wait may be what it is to stop.
            let _turn = if asked.stops() { None } else { self.turns.acquire().await.ok() };
            if open.taken_back.is_cancelled() { None } else { self.answered(&line, &asked, &open).await }
        };
        let refusal = tokio::select! {
            refusal = answered => refusal,
            // To end the answer is how these versions take a request back.
            () = open.taken_back.cancelled(), if open.is_modern => None,
        };
        open.arrived.cancel();
        self.open().remove(&key_of(asked.id()));
        if let Some(refusal) = refusal.filter(|_| !open.taken_back.is_cancelled()) {
            self.out.say(&answer::error(asked.id(), &refusal)).await;
        }
    }

    /// Passes the answer on; why not, if there is none.
    async fn answered(&self, line: &Bytes, asked: &RequestLine, open: &Open) -> Option<Refusal> {
        let session = self.session.get();
        let mut answer = match self.post(line, asked, &session).await {
            Ok(answer) => answer,
            Err(why) => return Some(answer::unanswered(&why, &self.wire.display_target())),
        };
        if answer.status == StatusCode::NOT_FOUND && session.id.is_some() && !open.is_modern {
            if let Err(refusal) = self.begin_again(session.turn).await {
                return Some(refusal);
            }
            answer = match self.post(line, asked, &self.session.get()).await {
                Ok(answer) => answer,
                Err(why) => return Some(answer::unanswered(&why, &self.wire.display_target())),
            };
        }
        open.arrived.cancel();
        match answer.held {
            Held::Message(message) => {
                self.out.say(&message).await;
                None
            }
            Held::Stream(events) => self.relay(events, asked, open).await,
            Held::Nothing if answer.status == StatusCode::ACCEPTED && asked.id().is_null() => None,
            _ => Some(answer.refusal()),
        }
    }

    /// Passes a stream on to its answer. One that breaks is asked for again by the last thing that came with a name.
    async fn relay(
        &self,
        events: impl StreamExt<Item = Result<sse_stream::Sse, String>> + Unpin + Send,
        asked: &RequestLine,
        open: &Open,
    ) -> Option<Refusal> {
        let mut last = None;
        let mut why = match self.pass_on(events, Some(asked), &mut last).await {
            Ok(()) => return None,
            Err(why) => why,
        };
        for _ in 0..MAX_ATTEMPTS {
            let (Some(id), false) = (&last, open.is_modern || open.taken_back.is_cancelled()) else { break };
            tokio::time::sleep(PAUSE).await;
            let mut headers = HeaderMap::new();
            self.session.get().say_in(&mut headers);
            headers.insert("last-event-id", id.clone());
            let Ok(Answer { held: Held::Stream(events), .. }) = self.send(Method::GET, headers, Bytes::new()).await else {
                continue;
            };
            why = match self.pass_on(events, Some(asked), &mut last).await {
                Ok(()) => return None,
                Err(why) => why,
            };
        }
        Some(answer::unanswered(&Unanswered::Broken(why), &self.wire.display_target()))
    }

    /// Passes messages on until one of them is the answer, if there is to be one: on a stream that answers one request, that is
    /// what is no request itself, however the server writes the id. The answers to several end with their stream.
    async fn pass_on(
        &self,
        mut events: impl StreamExt<Item = Result<sse_stream::Sse, String>> + Unpin,
        asked: Option<&RequestLine>,
        last: &mut Option<HeaderValue>,
    ) -> Result<(), String> {
        let mut is_answered = false;
        while let Some(event) = events.next().await {
            let event = event?;
            if let Some(id) = event.id.as_deref().and_then(|id| HeaderValue::from_str(id).ok()) {
                *last = Some(id);
            }
            let Some((message, document)) = message_in(&event) else { continue };
            self.out.say(&message).await;
            is_answered |= document["method"].is_null();
            if is_answered && asked.is_some_and(|asked| !asked.is_batch()) {
                return Ok(());
            }
        }
        if is_answered && asked.is_some() { Ok(()) } else { Err("the server ended it".to_owned()) }
    }

    /// Something that nobody answers.
    pub(super) async fn notify(&self, line: &Bytes, asked: &RequestLine) {
        let session = self.session.get();
        let told = self.post(line, asked, &session);
        match tokio::time::timeout(TELLING, told).await {
            Ok(Ok(answer)) if answer.status.is_success() => {}
            Ok(Ok(answer)) => tracing::debug!(status = answer.status.as_u16(), "the server does not take a notification"),
            Ok(Err(why)) => tracing::warn!(?why, "the server was not told"),
            Err(_) => tracing::warn!("the server did not hear a notification in time"),
        }
    }

    /// A request that is taken back. Without sessions to end its answer is enough, and nobody has to be told.
    async fn take_back(self: Arc<Self>, line: Bytes, asked: RequestLine) {
        let open = self.open().get(&key_of(asked.takes_back())).cloned();
        if let Some(open) = open {
            open.taken_back.cancel();
            if open.is_modern {
                return;
            }
            // Late or not, it is told.
            let _ = tokio::time::timeout(ARRIVAL, open.arrived.cancelled()).await;
        }
        self.notify(&line, &asked).await;
    }

    /// The same of what takes nothing back.
    async fn pass(self: Arc<Self>, line: Bytes, asked: RequestLine) {
        self.notify(&line, &asked).await;
    }

    /// What the server has to say beside its answers.
    async fn listen(self: Arc<Self>) {
        let mut ready = self.ready.subscribe();
        // The sender lives as long as this does.
        while ready.wait_for(|turn| *turn > 0).await.is_ok() {
            ready.mark_unchanged();
            let mut headers = HeaderMap::new();
            self.session.get().say_in(&mut headers);
            let pause = match self.send(Method::GET, headers, Bytes::new()).await {
                Ok(Answer { held: Held::Stream(events), .. }) => {
                    // There is no answer to be found in it.
                    let ended = self.pass_on(events, None, &mut None).await;
                    tracing::debug!(?ended, "what the server says by itself has ended");
                    PAUSE
                }
                Ok(answer) => {
                    tracing::debug!(status = answer.status.as_u16(), "the server says nothing by itself");
                    RETRY_AFTER
                }
                Err(_) => RETRY_AFTER,
            };
            let _ = tokio::time::timeout(pause, ready.changed()).await;
        }
    }

    /// Ends a conversation at the server.
    pub(super) async fn leave(&self, session: Session) {
        if session.id.is_some() {
            let mut headers = HeaderMap::new();
            session.say_in(&mut headers);
            // It ends by itself, too.
            let _ = tokio::time::timeout(FAREWELL, self.send(Method::DELETE, headers, Bytes::new())).await;
        }
    }

    pub(super) async fn post(&self, line: &Bytes, asked: &RequestLine, session: &Session) -> Result<Answer, Unanswered> {
        let mut headers = HeaderMap::new();
        if asked.is_modern() {
            asked.say_in(&mut headers);
        } else if asked.kind() != Kind::Hello {
            session.say_in(&mut headers);
        }
        self.send(Method::POST, headers, line.clone()).await
    }

    async fn send(&self, method: Method, mut headers: HeaderMap, body: Bytes) -> Result<Answer, Unanswered> {
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Answer::read(self.wire.send(method, headers, body).await?).await
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
