//! What a server answered, as JSON-RPC says it: whoever speaks over a pipe sees no status and no header.
//!
//! INVARIANT: a request gets one answer that a client understands, whatever was in between: what is no message of JSON-RPC
//! becomes an error that says what happened, whether it can be tried again, and never that nothing happened if that is not
//! known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::{BodyDataStream, BodyExt, Limited};
use serde_json::{Value, json};
use sse_stream::{Sse, SseStream};

use super::wire::{Raw, Unanswered};
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::http::mcp::{INTERNAL_ERROR, INVALID_REQUEST};

/// Largest document, and largest event of a stream.
const LARGEST: usize = 16 * 1024 * 1024;

/// An event, or why there are no more.
type Event = Result<Sse, String>;

/// An answer that has begun.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// What it holds.
    pub held: Held,
}

/// What an answer holds.
pub enum Held {
    /// Nothing.
    Nothing,
    /// One message of JSON-RPC, or several.
    Message(Bytes),
    /// One message after the other.
    Stream(futures::stream::BoxStream<'static, Event>),
    /// Why the server does not answer, in the words of its errors.
    Problem(Value),
    /// Something else.
    Foreign,
}

impl Answer {
    /// Reads an answer, or the head of it if it is a stream.
    pub async fn read(raw: Raw) -> Result<Self, Unanswered> {
        let (parts, body) = raw.into_parts();
        let typed = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let held = if typed.starts_with("text/event-stream") && parts.status.is_success() {
            Held::Stream(events(body).boxed())
        } else {
            let read = Limited::new(body, LARGEST).collect().await;
            held(typed, read.map_err(|error| Unanswered::Broken(error.to_string()))?.to_bytes())
        };
        Ok(Self { status: parts.status, headers: parts.headers, held })
    }

    /// Why there is no message in it.
    pub fn refusal(&self) -> Refusal {
        match &self.held {
            Held::Problem(body) => Refusal::from_body(body).unwrap_or_else(|| by_status(self.status, &self.headers)),
            _ => by_status(self.status, &self.headers),
        }
    }
}

fn held(typed: &str, bytes: Bytes) -> Held {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Held::Nothing;
    }
    let document = serde_json::from_slice::<Value>(&bytes).ok().filter(|_| typed.starts_with("application/json"));
    match document {
        Some(document) if is_message(&document) => Held::Message(on_one_line(bytes, &document)),
        Some(document) if document["error"].is_object() => Held::Problem(document),
        _ => Held::Foreign,
    }
}

fn is_message(document: &Value) -> bool {
    document.as_array().map_or_else(|| document["jsonrpc"] == "2.0", |all| !all.is_empty() && all.iter().all(is_message))
}

/// As it came, unless that is more than a line.
fn on_one_line(bytes: Bytes, document: &Value) -> Bytes {
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) { document.to_string().into() } else { bytes }
}

/// The events of a stream, each no larger than it may be.
fn events(body: hyper::body::Incoming) -> impl Stream<Item = Event> + Send {
    let since = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&since);
    let pieces = BodyDataStream::new(body).map(move |piece| {
        let piece = piece.map_err(std::io::Error::other)?;
        if counted.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > LARGEST {
            return Err(std::io::Error::other("an event is larger than it may be"));
        }
        Ok(piece)
    });
    SseStream::from_bytes_stream(pieces).map(move |event| {
        since.store(0, Ordering::Relaxed);
        event.map_err(|error| error.to_string())
    })
}

/// The message in an event, if there is one.
pub fn message_in(event: &Sse) -> Option<(Bytes, Value)> {
    let text = event.data.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
    let document: Value = serde_json::from_str(text).ok().filter(is_message)?;
    Some((on_one_line(Bytes::copy_from_slice(text.as_bytes()), &document), document))
}

/// An error as JSON-RPC says it, with all that the server's own errors say.
pub fn error(id: &Value, refusal: &Refusal) -> Bytes {
    let code = if refusal.code.status() < 500 { INVALID_REQUEST } else { INTERNAL_ERROR };
    let error = json!({ "code": code, "message": refusal.message, "data": refusal.body(None) });
    json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string().into()
}

/// Why a request was not answered.
pub fn unanswered(why: &Unanswered, by: &str) -> Refusal {
    match why {
        Unanswered::Unsent(text) => unrecorded(format!("Nobody answers at {by}, and nothing was sent: {text}.")),
        Unanswered::Broken(text) => unknown(format!("The connection to {by} broke before the answer came: {text}.")),
    }
}

/// A request that did not get there.
pub fn unrecorded(text: String) -> Refusal {
    Refusal::new(Code::AuditUnavailable, text).hint("Try again once the server is there.")
}

/// A request of which nobody knows what became.
pub fn unknown(text: String) -> Refusal {
    Refusal::new(Code::OutcomeUnknown, text)
        .hint("Find the call with activity_list, and ask operation_get what became of it, before you call again.")
}

/// What an answer means that does not say it in words of ours.
fn by_status(status: StatusCode, headers: &HeaderMap) -> Refusal {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let number = status.as_u16();
    if status.is_redirection() {
        let to = text(header::LOCATION).map_or_else(String::new, |to| format!(" to {to}"));
        let refusal =
            Refusal::new(Code::ValidationFailed, format!("The server sends the request elsewhere{to}, which is not followed."));
        return refusal.hint("Give the address at which it serves to `forelog stdio --url`.");
    }
    let (code, says) = match status {
        StatusCode::UNAUTHORIZED => (Code::Unauthenticated, "does not know the key"),
        StatusCode::FORBIDDEN => (Code::ForbiddenRole, "does not let the key in"),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => (Code::NotFound, "has no MCP endpoint there"),
        StatusCode::PAYLOAD_TOO_LARGE => (Code::TooLarge, "does not take a message of that size"),
        StatusCode::TOO_MANY_REQUESTS => (Code::RateLimited, "is asked too often"),
        StatusCode::SERVICE_UNAVAILABLE => (Code::AuditUnavailable, "is not available"),
        _ if status.is_client_error() => (Code::ValidationFailed, "does not take the message"),
        _ if status.is_success() => (Code::OutcomeUnknown, "answers with something that is no message of MCP"),
        _ => (Code::OutcomeUnknown, "failed, or something before it did"),
    };
    let mut refusal = Refusal::new(code, format!("The server {says} (HTTP {number})."));
    if let Some(seconds) = text(header::RETRY_AFTER).and_then(|text| text.parse().ok()) {
        refusal = refusal.retry_after(std::time::Duration::from_secs(seconds));
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(status: u16, typed: &'static str, body: &str) -> (Held, Refusal) {
        let mut answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            held: held(typed, Bytes::copy_from_slice(body.as_bytes())),
        };
        let refusal = answer.refusal();
        (std::mem::replace(&mut answer.held, Held::Nothing), refusal)
    }

    #[test]
    fn what_is_no_message_says_what_happened() {
        let body = json!({ "error": { "code": "token_revoked", "message": "It was revoked.", "details": {}, "hint": "Ask." } });
        let (held, refusal) = says(401, "application/json", &body.to_string());
        assert!(matches!(held, Held::Problem(_)));
        assert_eq!((refusal.code, refusal.hint.as_deref()), (Code::TokenRevoked, Some("Ask.")));
        for (status, code) in [
            (301, Code::ValidationFailed),
            (401, Code::Unauthenticated),
            (403, Code::ForbiddenRole),
            (404, Code::NotFound),
            (413, Code::TooLarge),
            (418, Code::ValidationFailed),
            (429, Code::RateLimited),
            (200, Code::OutcomeUnknown),
            (500, Code::OutcomeUnknown),
            (502, Code::OutcomeUnknown),
            (503, Code::AuditUnavailable),
        ] {
            let (held, refusal) = says(status, "text/html", "<html>a proxy</html>");
            assert!(matches!(held, Held::Foreign));
            assert_eq!(refusal.code, code, "{status}");
            assert!(!refusal.message.contains("html"), "{}", refusal.message);
        }
    }

    #[test]
    fn messages_stay_as_they_came_on_one_line() {
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"big":12345678901234567890.0}}"#;
        let (Held::Message(bytes), _) = says(200, "application/json; charset=utf-8", text) else { panic!("no message") };
        assert_eq!(bytes, text);
        let (Held::Message(bytes), _) = says(200, "application/json", "{\n\"jsonrpc\": \"2.0\",\n\"id\": 1}\n") else {
            panic!("none")
        };
        assert!(!bytes.contains(&b'\n'), "{bytes:?}");
        let message: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(message, serde_json::json!({ "jsonrpc": "2.0", "id": 1 }));
        assert!(matches!(says(202, "", "").0, Held::Nothing));
        assert!(matches!(says(200, "application/json", "[]").0, Held::Foreign));
    }
}
