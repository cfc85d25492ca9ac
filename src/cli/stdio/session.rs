//! The conversation that a client began, in the versions that have any, and how it is begun again.
//!
//! INVARIANT: a client over a pipe never learns that a server keeps sessions, so it cannot begin one again: whoever lost one (a
//! server that was started anew, or forgot it while nothing was asked) is told again how the client introduced itself. Only a
//! request that was refused because its session is not known is sent a second time, and only once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;

use super::answer::{Answer, Held, message_in};
use super::request_line::VERSION;
use crate::http::mcp::SESSION_ID;

/// What is known of the conversation.
#[derive(Clone, Default)]
pub struct Session {
    /// How the client introduced itself.
    pub hello: Option<Bytes>,
    /// Which session it is.
    pub id: Option<HeaderValue>,
    /// Which version was agreed on.
    pub version: Option<HeaderValue>,
    /// How often it has been begun.
    pub turn: u64,
}

impl Session {
    /// Names it in a request.
    pub fn say_in(&self, headers: &mut HeaderMap) {
        for (name, value) in [(SESSION_ID, &self.id), (VERSION, &self.version)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }

    /// Whether it has been begun.
    pub fn is_begun(&self) -> bool {
        self.version.is_some()
    }
}

/// The same, shared.
#[derive(Default)]
pub struct Shared(Mutex<Session>);

impl Shared {
    /// As it is now.
    pub fn get(&self) -> Session {
        self.lock().clone()
    }

    /// It was begun. Answers the one before.
    pub fn begin(&self, hello: Bytes, welcome: &InitializeAnswer) -> Session {
        let mut session = self.lock();
        let (id, version) = (welcome.session.clone(), Some(welcome.version.clone()));
        let next = Session { hello: Some(hello), id, version, turn: session.turn + 1 };
        std::mem::replace(&mut *session, next)
    }

    fn lock(&self) -> MutexGuard<'_, Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a server answered an introduction.
pub struct InitializeAnswer {
    /// The message.
    pub message: Bytes,
    session: Option<HeaderValue>,
    /// The version that was agreed on.
    pub version: HeaderValue,
}

impl InitializeAnswer {
    /// Reads it; gives the answer back if it is none.
    pub async fn read(mut answer: Answer) -> Result<Self, Answer> {
        let found = match &mut answer.held {
            Held::Message(bytes) => serde_json::from_slice(bytes).ok().map(|document| (bytes.clone(), document)),
            Held::Stream(events) => first_answer(events).await,
            _ => None,
        };
        let Some((message, document)) = found else { return Err(answer) };
        let version = document["result"]["protocolVersion"].as_str().and_then(|text| HeaderValue::from_str(text).ok());
        match version {
            Some(version) => Ok(Self { message, session: answer.headers.get(&SESSION_ID).cloned(), version }),
            // Refused, in the words of the protocol.
            None => Err(Answer { held: Held::Message(message), ..answer }),
        }
    }
}

async fn first_answer(events: &mut (impl StreamExt<Item = Result<sse_stream::Sse, String>> + Unpin)) -> Option<(Bytes, Value)> {
    while let Some(Ok(event)) = events.next().await {
        if let Some(found) = message_in(&event).filter(|(_, document)| document["method"].is_null()) {
            return Some(found);
        }
    }
    None
}
