//! JSON-RPC at the border: what a body holds, and errors as JSON-RPC says them where rmcp answers plain text.

use std::io;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::partial_message::{self, BATCH, PartialMessage};
use crate::core::document::{self, Unreadable};
use crate::core::scrub::ScrubbedText;

const PARSE_ERROR: i32 = -32700;
/// Not a request.
pub const INVALID_REQUEST: i32 = -32600;
/// Not parameters of that method.
pub const INVALID_PARAMS: i32 = -32602;
/// We failed.
pub const INTERNAL_ERROR: i32 = -32603;

/// The header that names the version.
pub const VERSION: &str = "mcp-protocol-version";
/// The same in the body.
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The first version without sessions.
pub const MODERN: &str = "2026-07-28";

/// Bytes that a message may say beside the arguments of a call.
const BESIDE: usize = 64 * 1024;

/// An error of rmcp is as long as what it quotes: a header, or what a message says beside its arguments.
const TEXT: usize = 512 * 1024;

/// What rmcp says of a header that does not agree with the message.
const HEADER_MISMATCH: i64 = -32020;

/// An error's text is this long, in characters, and no name of a client's in it longer.
const SAID: usize = 500;
const MAX_NAMED: usize = 32;

/// What a body holds.
pub enum Incoming {
    /// One message.
    One(Value),
    /// Several, as 2025-03-26 allows.
    Batch(Vec<Value>),
}

/// A body that is refused whole.
pub struct RejectedBody {
    /// What JSON-RPC says of it.
    pub answer: Response,
    /// Why.
    pub why: String,
    /// What it holds; none if no call can be found in it.
    pub held: Option<PartialMessage>,
}

impl RejectedBody {
    fn new(code: i32, why: String, held: Option<PartialMessage>) -> Box<Self> {
        let id = held.as_ref().map(|held| id_of(&held.messages)).unwrap_or_default();
        Box::new(Self { answer: refuse(&id, code, &why), why, held })
    }
}

/// Reads a body, or says what is wrong with it.
pub fn read(bytes: &[u8], headers: &HeaderMap) -> Result<Incoming, Box<RejectedBody>> {
    let unreadable = |why: Unreadable| {
        let code = if matches!(why, Unreadable::Vast) { INVALID_REQUEST } else { PARSE_ERROR };
        RejectedBody::new(code, why.to_string(), partial_message::call_in(bytes))
    };
    let value = document::read(bytes).map_err(unreadable)?;
    let invalid = |held: Value, text: &str| Err(RejectedBody::new(INVALID_REQUEST, text.to_owned(), Some(held.into())));
    match value {
        Value::Array(held) if !knows_batches(headers) => invalid(held.into(), "Only protocol version 2025-03-26 has batches."),
        Value::Array(held) if held.is_empty() => invalid(held.into(), "A batch holds at least one message."),
        Value::Array(held) if held.len() > BATCH => invalid(held.into(), "A batch holds at most 20 messages."),
        Value::Array(messages) => Ok(Incoming::Batch(messages)),
        message => match fault(&message) {
            Some(text) => invalid(message, text),
            None => Ok(Incoming::One(message)),
        },
    }
}

fn knows_batches(headers: &HeaderMap) -> bool {
    headers.get(VERSION).is_none_or(|version| version == "2025-03-26")
}

/// What makes `message` no JSON-RPC message, if anything.
pub fn fault(message: &Value) -> Option<&'static str> {
    let Some(fields) = message.as_object() else { return Some("A message is an object.") };
    if message["jsonrpc"] != "2.0" {
        return Some("A message says `\"jsonrpc\": \"2.0\"`.");
    }
    if is_fat(message) {
        return Some("What a message says beside the arguments of a call is at most 64 KiB.");
    }
    let has_id = matches!(message["id"], Value::String(_) | Value::Number(_));
    if fields.contains_key("id") && !has_id {
        return Some("An id is a string or a number.");
    }
    let is_answer = fields.contains_key("result") || fields.contains_key("error");
    let is_message = message["method"].is_string() || (is_answer && has_id);
    (!is_message).then_some("A message has a method, or answers one.")
}

/// Whether a message says more beside its arguments than any has to: what a client says of itself is kept as long as its
/// session, and what it says of a call as long as that.
fn is_fat(message: &Value) -> bool {
    let is_call = message["method"] == "tools/call";
    let mut room = Room(BESIDE);
    let fields = message.as_object().into_iter().flatten().filter(|(name, _)| *name != "params");
    let fits = |room: &mut Room, name: &str, value: &Value| room.take(name.len()) && serde_json::to_writer(room, value).is_ok();
    let all_fit = fields.into_iter().all(|(name, value)| fits(&mut room, name, value))
        && match &message["params"] {
            Value::Object(params) => {
                let mut beside = params.iter().filter(|(name, _)| !(is_call && *name == "arguments"));
                beside.all(|(name, value)| fits(&mut room, name, value))
            }
            other => fits(&mut room, "", other),
        };
    !all_fit
}

/// So many bytes may still be written. They are counted and not kept, and nothing is written once there is no room.
struct Room(usize);

impl Room {
    fn take(&mut self, length: usize) -> bool {
        let left = self.0.checked_sub(length);
        self.0 = left.unwrap_or_default();
        left.is_some()
    }
}

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.take(bytes.len()) { Ok(bytes.len()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The id to answer with; null if there is none that can be read.
pub fn id_of(message: &Value) -> Value {
    Some(&message["id"]).filter(|id| id.is_string() || id.is_number()).cloned().unwrap_or_default()
}

/// Whether the message belongs to a version without sessions.
pub fn is_modern(message: &Value, headers: &HeaderMap) -> bool {
    let said = message["params"]["_meta"][META_VERSION].as_str();
    let header = || headers.get(VERSION).and_then(|value| value.to_str().ok());
    message["method"] != "initialize" && said.or_else(header).is_some_and(|version| version >= MODERN)
}

/// A JSON-RPC error as a document.
pub fn error(id: &Value, code: i32, text: &str, data: Option<&Value>) -> Value {
    let mut error = json!({ "code": code, "message": text });
    if let (Some(data), Some(fields)) = (data, error.as_object_mut()) {
        fields.insert("data".into(), data.clone());
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

/// A JSON-RPC error as a response.
pub fn refuse(id: &Value, code: i32, text: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(error(id, code, text, None))).into_response()
}

/// Turns an error that rmcp words as plain text into JSON-RPC, in our words: its own tell of its types. One that is JSON quotes
/// nothing that was sent. Answers that are none, and streams, pass untouched.
pub async fn tidy(response: Response, id: &Value) -> Response {
    let typed = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    if !is_error || typed.starts_with("text/event-stream") {
        return response;
    }
    let is_json = typed.starts_with("application/json");
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, TEXT).await.unwrap_or_default();
    let document = if is_json { serde_json::from_slice::<Value>(&text).ok() } else { None };
    if let Some(mut document) = document {
        unquote(&mut document);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::from(document.to_string()));
    }
    if parts.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        // The body was JSON; what rmcp means is that it is no message it knows.
        parts.status = StatusCode::BAD_REQUEST;
    }
    let code = if parts.status.is_server_error() { INTERNAL_ERROR } else { INVALID_REQUEST };
    let document = error(id, code, ours(parts.status, &String::from_utf8_lossy(&text)), None).to_string();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(document))
}

/// Takes out of an error what the client has sent: a key that was pasted into the wrong place would be in whatever keeps errors.
fn unquote(document: &mut Value) {
    let Some(error) = document.get_mut("error").and_then(Value::as_object_mut) else { return };
    let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
    let text = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    let text = unquoted(code, &text, error.get_mut("data"));
    error.insert("message".to_owned(), text.into());
}

/// The same of an error's parts; answers its text.
pub fn unquoted(code: i64, text: &str, data: Option<&mut Value>) -> String {
    if let Some(requested) = data.and_then(|data| data.get_mut("requested")) {
        let version = requested.as_str().filter(|version| version.len() <= MAX_NAMED).unwrap_or_default();
        *requested = String::from(ScrubbedText::of(version)).into();
    }
    if code == HEADER_MISMATCH || text.contains(" header (") {
        return "A header of the protocol is missing, or does not say what the message says.".to_owned();
    }
    ScrubbedText::of(text).cut(SAID).into()
}

/// What rmcp means.
fn ours(status: StatusCode, text: &str) -> &'static str {
    match status {
        status if status.is_server_error() => "The request could not be answered.",
        StatusCode::NOT_ACCEPTABLE => "The client has to accept application/json and text/event-stream.",
        StatusCode::NOT_FOUND => "There is no such session.",
        StatusCode::METHOD_NOT_ALLOWED => "This protocol version has no such method.",
        _ if text.contains("MCP-Protocol-Version") => "This protocol version is not known here.",
        _ if text.contains("ession") => "A session is needed: begin with initialize, and send its Mcp-Session-Id.",
        _ => "This is no message that the protocol has: its id, its method or its parameters are not right.",
    }
}
