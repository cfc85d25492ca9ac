//! JSON that is nested deeper, or has more values, than anybody reads: what of it is a message all the same, so that a call in it
//! is on record.
//!
//! INVARIANT: nothing here goes down with the nesting: what is below the fields of a message is passed over, not read. What is
//! kept does not grow with the number of messages: of a batch no more than it may hold are, and the rest is counted.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

use crate::http::body::text_of;

/// Messages of one batch.
pub const BATCH: usize = 20;

/// The method of a call.
pub const CALL: &str = "tools/call";

/// Whether a message asks for a call, in whatever shape.
pub fn is_call(message: &Value) -> bool {
    message["method"] == CALL
}

/// The fields by which a message is known.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Option<Id>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default, rename = "params")]
    _params: IgnoredAny,
}

/// A head of an object: a list would be taken for its fields in their order.
struct Object(Head);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Fields).map(Self)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Head, A::Error> {
        Head::deserialize(MapAccessDeserializer::new(fields))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(i64),
}

/// Which tool it calls.
#[derive(Deserialize)]
struct Named {
    params: Params,
}

#[derive(Deserialize)]
struct Params {
    name: String,
    #[serde(default, rename = "arguments")]
    _arguments: IgnoredAny,
}

/// The calls of a batch: one more than it may hold, and how many there are beside these.
struct Calls {
    kept: Vec<Head>,
    others: u32,
}

impl<'de> Deserialize<'de> for Calls {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Batch)
    }
}

struct Batch;

impl<'de> Visitor<'de> for Batch {
    type Value = Calls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Calls, A::Error> {
        let mut calls = Calls { kept: Vec::new(), others: 0 };
        while let Some(Object(head)) = messages.next_element()? {
            if head.method.as_deref() != Some(CALL) {
                continue;
            }
            if calls.kept.len() <= BATCH {
                calls.kept.push(head);
            } else {
                calls.others = calls.others.saturating_add(1);
            }
        }
        Ok(calls)
    }
}

/// What is known of a body, whole or not.
pub struct PartialMessage {
    /// A message, or several.
    pub messages: Value,
    /// The arguments of each that has none: the whole text, of which the record has digest and size.
    pub text: Value,
    /// Calls beside these, like the last.
    pub others: u32,
}

impl From<Value> for PartialMessage {
    fn from(messages: Value) -> Self {
        Self { messages, text: Value::Null, others: 0 }
    }
}

/// The call, or the calls, that JSON holds which is not read whole. None if it is no JSON, or holds no call.
pub fn call_in(bytes: &[u8]) -> Option<PartialMessage> {
    let (messages, others) = if let Ok(calls) = serde_json::from_slice::<Calls>(bytes) {
        let messages: Vec<Value> = calls.kept.into_iter().map(|head| message(head, None)).collect();
        (Value::Array(messages), calls.others)
    } else {
        let Object(head) = serde_json::from_slice(bytes).ok()?;
        (message(head, serde_json::from_slice::<Named>(bytes).ok()), 0)
    };
    let has_call = messages.as_array().map_or_else(|| is_call(&messages), |messages| !messages.is_empty());
    has_call.then(|| PartialMessage { messages, text: text_of(bytes), others })
}

fn message(head: Head, named: Option<Named>) -> Value {
    let mut message = json!({ "jsonrpc": "2.0", "params": {} });
    if let Some(named) = named {
        message["params"]["name"] = named.params.name.into();
    }
    match head.id {
        Some(Id::Text(id)) => message["id"] = id.into(),
        Some(Id::Number(id)) => message["id"] = id.into(),
        None => {}
    }
    if let Some(method) = head.method {
        message["method"] = method.into();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_too_deep_is_known_by_its_head() {
        let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"vm_list","arguments":{{"x":{deep}}}}}}}"#
        );
        assert!(serde_json::from_str::<Value>(&text).is_err());
        let found = call_in(text.as_bytes()).unwrap();
        let said = &found.messages;
        assert_eq!((&said["id"], &said["method"], &said["params"]["name"]), (&json!(7), &json!("tools/call"), &json!("vm_list")));
        assert_eq!((found.text, found.others), (json!(text), 0));
        let found = call_in(format!("[{text},{{}},{text}]").as_bytes()).unwrap();
        assert_eq!((found.messages.as_array().map(Vec::len), found.others), (Some(2), 0));
        for none in ["{", "7", "{\"id\":[", "[1]", "[[1]]", "[{}]", &format!(r#"{{"id":"a","params":{deep}}}"#), &deep[..100]] {
            assert!(call_in(none.as_bytes()).is_none(), "{none}");
        }
    }

    #[test]
    fn what_is_kept_does_not_grow_with_what_is_sent() {
        let one = r#"{"method":"tools/call"}"#;
        let found = call_in(format!("[{}]", vec![one; 5000].join(",")).as_bytes()).unwrap();
        assert_eq!((found.messages.as_array().map(Vec::len), found.others), (Some(BATCH + 1), 5000 - 21));
    }
}
