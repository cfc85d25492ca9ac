//! JSON that is nested deeper than anybody reads: what of it is a message all the same, so that a call in it is on record.
//!
//! INVARIANT: nothing here goes down with the nesting: what is below the fields of a message is passed over, not read.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use super::super::body::text_of;
use super::rejected::is_call;

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

/// The message, or the messages, that JSON holds which cannot be read whole: for arguments its whole text, of which the record has
/// digest and size. None if it is no JSON, or holds no message.
fn of(bytes: &[u8]) -> Option<Value> {
    if let Ok(heads) = serde_json::from_slice::<Vec<Object>>(bytes) {
        return Some(heads.into_iter().map(|Object(head)| message(head, None, bytes)).collect());
    }
    let Object(head) = serde_json::from_slice(bytes).ok()?;
    let named = serde_json::from_slice::<Named>(bytes).ok();
    Some(message(head, named, bytes))
}

/// The same, if there is a call in it.
pub fn call_in(bytes: &[u8]) -> Option<Value> {
    of(bytes).filter(|held| held.as_array().map_or_else(|| is_call(held), |messages| messages.iter().any(is_call)))
}

fn message(head: Head, named: Option<Named>, bytes: &[u8]) -> Value {
    let mut message = json!({ "jsonrpc": "2.0", "params": { "arguments": text_of(bytes) } });
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
        let found = of(text.as_bytes()).unwrap();
        assert_eq!(
            (&found["id"], &found["method"], &found["params"]["name"]),
            (&json!(7), &json!("tools/call"), &json!("vm_list"))
        );
        assert_eq!(found["params"]["arguments"], text);
        let found = of(format!("[{text},{text}]").as_bytes()).unwrap();
        assert_eq!(found.as_array().map(Vec::len), Some(2));
        assert_eq!(of(format!(r#"{{"id":"a","params":{deep}}}"#).as_bytes()).unwrap()["id"], "a");
        for none in ["{", "7", "{\"id\":[", "[1]", "[[1]]", &deep[..100]] {
            assert!(of(none.as_bytes()).is_none(), "{none}");
        }
    }
}
