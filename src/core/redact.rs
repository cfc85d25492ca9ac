//! Redaction by class: a total function over JSON, before anything is recorded (P10).
//!
//! INVARIANT: a path without a class counts as secret. What a secret held is not kept, not even its length.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::scrub::Scrubbed;
#[cfg(feature = "testing")]
pub use super::scrub::scrub_text;

/// What may be done with the value at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// May be shown to everybody who sees the call, and searched.
    Public,
    /// Names or describes a person.
    Pii,
    /// Command text and output: encrypted, for its customer, scrubbed of known token patterns.
    Content,
    /// A piece of an output: content that was cut, so that what is recorded of it is said by who knows what stood around it.
    /// Where nobody says, nothing of it is, not even its size.
    Excerpt,
    /// Never recorded.
    Secret,
}

/// Classes by path. A path joins object keys with `.`; `*` stands for any array element or key.
pub type Classes = BTreeMap<String, Sensitivity>;

/// `value` with every secret replaced and content scrubbed.
#[must_use]
pub fn redact(value: &Value, classes: &Classes) -> Value {
    walk(value, classes, "")
}

/// Whether `shown`, which is recorded of `value`, is all of it but what is secret by its class: nothing in it was scrubbed,
/// and nothing left out because nobody listed it.
#[must_use]
pub fn shows_whole(value: &Value, shown: &Value, classes: &Classes) -> bool {
    is_whole(value, shown, classes, "")
}

fn is_whole(value: &Value, shown: &Value, classes: &Classes, path: &str) -> bool {
    let same = |key: &str, inner: &Value, shown: Option<&Value>| {
        let (below, shown) = (child_path(classes, path, key), shown.unwrap_or(&Value::Null));
        below.is_some_and(|below| is_whole(inner, shown, classes, &below))
    };
    match (class_at(classes, path), value, shown) {
        (Some(Sensitivity::Secret), ..) => true,
        (Some(_), ..) => value == shown,
        (None, Value::Object(fields), Value::Object(kept)) => {
            fields.len() == kept.len() && fields.iter().all(|(key, inner)| same(key, inner, kept.get(key)))
        }
        (None, Value::Array(items), Value::Array(kept)) => {
            items.len() == kept.len() && items.iter().zip(kept).all(|(inner, shown)| same("*", inner, Some(shown)))
        }
        (None, ..) => false,
    }
}

/// Only the public leaves of `value`, as `path=value` words, for search.
#[must_use]
pub fn public_text(value: &Value, classes: &Classes) -> String {
    let mut words = Vec::new();
    collect_public(value, classes, "", &mut words);
    words.join(" ")
}

fn class_at(classes: &Classes, path: &str) -> Option<Sensitivity> {
    classes.get(path).copied()
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The path of a child: as named if that is listed or leads to something listed, else with `*`; none if neither is, which
/// makes the child secret. A key with a `.` in it must not pass for a path.
fn child_path(classes: &Classes, path: &str, key: &str) -> Option<String> {
    let named = below(path, key);
    if !key.contains('.') && leads_on(classes, &named) {
        return Some(named);
    }
    let any = below(path, "*");
    leads_on(classes, &any).then_some(any)
}

/// Whether `path` has a class, or something below it has.
fn leads_on(classes: &Classes, path: &str) -> bool {
    let below = format!("{path}.");
    let mut from = classes.range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded));
    classes.contains_key(path) || from.next().is_some_and(|(listed, _)| listed.starts_with(&below))
}

fn walk(value: &Value, classes: &Classes, path: &str) -> Value {
    match (class_at(classes, path), value) {
        (Some(Sensitivity::Public | Sensitivity::Pii), _) => value.clone(),
        (Some(Sensitivity::Content), _) => Scrubbed::of(value.clone()).document().clone(),
        (Some(Sensitivity::Excerpt), _) => json!({ MARK: "excerpt" }),
        (None, Value::Object(fields)) => walk_fields(fields, classes, path),
        (None, Value::Array(items)) => match child_path(classes, path, "*") {
            Some(below) => Value::Array(items.iter().map(|inner| walk(inner, classes, &below)).collect()),
            None => secret(),
        },
        (None | Some(Sensitivity::Secret), _) => secret(),
    }
}

/// Unlisted fields leave one common mark: their names may be secret too, and so is how many there were.
fn walk_fields(fields: &Map<String, Value>, classes: &Classes, path: &str) -> Value {
    let mut kept = Map::new();
    for (key, inner) in fields {
        match child_path(classes, path, key) {
            Some(below) => kept.insert(key.clone(), walk(inner, classes, &below)),
            None => kept.insert(MARK.into(), json!("secret")),
        };
    }
    Value::Object(kept)
}

/// The key that says that something was here.
const MARK: &str = "$redacted";

fn secret() -> Value {
    json!({ MARK: "secret" })
}

fn collect_public(value: &Value, classes: &Classes, path: &str, words: &mut Vec<String>) {
    match value {
        Value::Object(fields) if class_at(classes, path).is_none() => {
            for (key, inner) in fields {
                if let Some(below) = child_path(classes, path, key) {
                    collect_public(inner, classes, &below, words);
                }
            }
        }
        Value::Array(items) if class_at(classes, path).is_none() => {
            for inner in items {
                collect_public(inner, classes, &below(path, "*"), words);
            }
        }
        _ if class_at(classes, path) == Some(Sensitivity::Public) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            words.push(format!("{path}={text}"));
        }
        _ => {}
    }
}
