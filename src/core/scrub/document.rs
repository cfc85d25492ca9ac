//! Documents, whose fields say what their texts are: a text is scrubbed by itself and as what its field calls it.

use serde_json::{Map, Value};

use super::finder::MARK;
use super::names::{Named, named};
use super::text::scrub_text;

/// What the fields of a pair are called, of which one says what is in the other.
const PAIRS: &[(&str, &str)] = &[("name", "value"), ("key", "value"), ("Name", "Value"), ("Key", "Value")];

/// `value` with every secret in it replaced.
pub(super) fn scrub(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrub_text(&text)),
        Value::Array(items) => list(items),
        Value::Object(fields) => object(fields),
        other => other,
    }
}

/// A list may be the words of a command.
fn list(items: Vec<Value>) -> Value {
    let mut option = None;
    let scrubbed = items.into_iter().map(|item| {
        let told = option.take();
        option = item.as_str().filter(|word| word.starts_with("--")).map(str::to_owned);
        match (told, item) {
            (Some(name), Value::String(text)) => Value::String(field(&name, text)),
            (_, item) => scrub(item),
        }
    });
    scrubbed.collect()
}

fn object(fields: Map<String, Value>) -> Value {
    let called = PAIRS.iter().find_map(|(name, value)| Some(((*value).to_owned(), fields.get(*name)?.as_str()?.to_owned())));
    let scrubbed = fields.into_iter().map(|(key, inner)| {
        let name = called.as_ref().filter(|(value, _)| *value == key).map_or(key.as_str(), |(_, name)| name.as_str());
        let inner = match inner {
            Value::String(text) => Value::String(field(name, text)),
            other => scrub(other),
        };
        (scrub_text(&key), inner)
    });
    Value::Object(scrubbed.collect())
}

/// `text`, which is given to `name`: read as if it were written so.
fn field(name: &str, text: String) -> String {
    let clean = scrub_text(&text);
    let is_named = named(name.as_bytes()).is_some_and(|kind| kind != Named::Bot);
    if !is_named || clean != text || text.is_empty() {
        return clean;
    }
    let before = format!("\"{}\":\"", name.trim_start_matches('-'));
    let written = scrub_text(&format!("{before}{}\"", text.replace(['"', '\\', '\n', '\r'], "+")));
    match written.strip_prefix(&before).and_then(|rest| rest.strip_suffix('"')) {
        Some(rest) if rest.len() == text.len() && !rest.contains(MARK) => text,
        Some(rest) => rest.to_owned(),
        None => MARK.to_owned(),
    }
}
