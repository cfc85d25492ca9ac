//! What a line asks for, as far as the way to the server needs to know it.
//!
//! INVARIANT: nothing is decided here. What cannot be read goes to the server as it is, which says what is wrong with it and
//! writes down what has to be.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::http::mcp::{self, META_VERSION, MODERN};
use crate::tools;

/// The header that names the version.
pub const VERSION: HeaderName = HeaderName::from_static(mcp::VERSION);
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Whole numbers below this are written in one way.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// How a text is written that no header can hold.
const ENCODED: (&str, &str) = ("=?base64?", "?=");

/// A message, before it goes on.
pub struct RequestLine {
    message: Value,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It begins a conversation, in the versions that have any.
    Hello,
    /// It is told, and not answered.
    Told,
    /// It takes a request back.
    Cancel,
    /// It is answered, or cannot be read.
    Request,
}

impl RequestLine {
    /// Reads a line.
    pub fn of(line: &[u8]) -> Self {
        Self { message: serde_json::from_slice(line).unwrap_or_default() }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match (self.message["method"].as_str(), self.message.get("id")) {
            (Some("initialize"), Some(_)) => Kind::Hello,
            (Some("notifications/cancelled"), None) => Kind::Cancel,
            (Some(_), None) => Kind::Told,
            (None, Some(_)) if self.is_answer() => Kind::Told,
            _ => Kind::Request,
        }
    }

    fn is_answer(&self) -> bool {
        self.message.get("result").is_some() || self.message.get("error").is_some()
    }

    /// The id to answer with.
    pub fn id(&self) -> &Value {
        if self.message["id"].is_string() || self.message["id"].is_number() { &self.message["id"] } else { &Value::Null }
    }

    /// That a client now goes on in the conversation that it began.
    pub fn is_ready(&self) -> bool {
        self.message["method"] == "notifications/initialized"
    }

    /// The request that it takes back.
    pub fn takes_back(&self) -> &Value {
        &self.message["params"]["requestId"]
    }

    /// Whether it stops something, for which nothing else is waited.
    pub fn stops(&self) -> bool {
        self.message["method"] == "tools/call" && self.message["params"]["name"].as_str().is_some_and(tools::halts)
    }

    /// Whether it is several messages, which are answered each.
    pub fn is_batch(&self) -> bool {
        self.message.is_array()
    }

    /// Whether it belongs to a version without sessions.
    pub fn is_modern(&self) -> bool {
        self.version().is_some_and(|version| version >= MODERN) && self.kind() != Kind::Hello
    }

    fn version(&self) -> Option<&str> {
        self.message["params"]["_meta"][META_VERSION].as_str()
    }

    /// Says in headers what such a version wants to be said there.
    pub fn say_in(&self, headers: &mut HeaderMap) {
        let params = &self.message["params"];
        let method = self.message["method"].as_str();
        let name = match method {
            Some("tools/call" | "prompts/get") => params["name"].as_str(),
            Some("resources/read" | "resources/subscribe" | "resources/unsubscribe") => params["uri"].as_str(),
            Some("tasks/get" | "tasks/update" | "tasks/cancel") => params["taskId"].as_str(),
            _ => None,
        };
        for (header, text) in [(VERSION, self.version()), (METHOD, method), (NAME, name)] {
            if let Some(value) = text.and_then(value_of) {
                headers.insert(header, value);
            }
        }
    }
}

/// An id as requests are kept by: a number is the same however it is written.
pub fn key_of(id: &Value) -> String {
    let whole = id.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < EXACT);
    whole.map_or_else(|| id.to_string(), |number| format!("{number:.0}").replace("-0", "0"))
}

/// A text as a header holds it.
fn value_of(text: &str) -> Option<HeaderValue> {
    let is_plain = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
        && text.trim_matches(' ').len() == text.len()
        && !(text.starts_with(ENCODED.0) && text.ends_with(ENCODED.1));
    let text = if is_plain { text.to_owned() } else { format!("{}{}{}", ENCODED.0, STANDARD.encode(text), ENCODED.1) };
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(message: &Value) -> RequestLine {
        RequestLine::of(message.to_string().as_bytes())
    }

    #[test]
    fn messages_are_told_apart() {
        for (message, kind) in [
            (json!({ "id": 1, "method": "initialize" }), Kind::Hello),
            (json!({ "id": 1, "method": "tools/call" }), Kind::Request),
            (json!({ "method": "tools/call" }), Kind::Told),
            (json!({ "method": "notifications/cancelled" }), Kind::Cancel),
            (json!({ "id": "a", "result": {} }), Kind::Told),
            (json!({ "id": "a", "error": {} }), Kind::Told),
            (json!({ "id": null, "method": "tools/call" }), Kind::Request),
            (json!([{ "id": 1, "method": "tools/call" }]), Kind::Request),
            (json!({}), Kind::Request),
            (json!(7), Kind::Request),
        ] {
            assert_eq!(asked(&message).kind(), kind, "{message}");
        }
        assert_eq!(RequestLine::of(b"{").kind(), Kind::Request);
    }

    #[test]
    fn a_version_without_sessions_is_said_in_headers() {
        let meta = json!({ META_VERSION: MODERN });
        let message = json!({ "id": 1, "method": "tools/call", "params": { "name": "vm_list", "_meta": meta } });
        let (asked_for, mut headers) = (asked(&message), HeaderMap::new());
        asked_for.say_in(&mut headers);
        assert!(asked_for.is_modern());
        let said: Vec<_> = [VERSION, METHOD, NAME].iter().map(|name| headers[name].to_str().unwrap().to_owned()).collect();
        assert_eq!(said, [MODERN, "tools/call", "vm_list"]);
        for (text, value) in
            [("ä", "=?base64?w6Q=?="), (" x", "=?base64?IHg=?="), ("a b", "a b"), ("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?=")]
        {
            assert_eq!(value_of(text).unwrap(), value);
        }
        let old = json!({ "id": 1, "method": "tools/call", "params": { "_meta": { META_VERSION: "2025-11-25" } } });
        assert!(!asked(&old).is_modern());
        let hello = json!({ "id": 1, "method": "initialize", "params": { "_meta": meta } });
        assert!(!asked(&hello).is_modern());
    }
}
