//! Redaction by class: a total function over JSON, before anything is recorded (P10).
//!
//! INVARIANT: a path without a class counts as secret. What a secret held is not kept, not even its length.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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
    /// Never recorded.
    Secret,
}

/// Classes by path. A path joins object keys with `.`; `*` stands for any array element or key.
pub type Classes = BTreeMap<&'static str, Sensitivity>;

/// `value` with every secret replaced and content scrubbed.
#[must_use]
pub fn redact(value: &Value, classes: &Classes) -> Value {
    walk(value, classes, "")
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

/// The path of a child: as named if that is listed or leads to something listed, else with `*`.
fn child_path(classes: &Classes, path: &str, key: &str) -> String {
    let named = below(path, key);
    let deeper = format!("{named}.");
    if classes.keys().any(|listed| **listed == *named || listed.starts_with(&deeper)) { named } else { below(path, "*") }
}

fn walk(value: &Value, classes: &Classes, path: &str) -> Value {
    match (class_at(classes, path), value) {
        (Some(Sensitivity::Public | Sensitivity::Pii), _) => value.clone(),
        (Some(Sensitivity::Content), _) => scrub(value),
        (None, Value::Object(fields)) => {
            let kept: Map<String, Value> =
                fields.iter().map(|(key, inner)| (key.clone(), walk(inner, classes, &child_path(classes, path, key)))).collect();
            Value::Object(kept)
        }
        (None, Value::Array(items)) => {
            let below = below(path, "*");
            Value::Array(items.iter().map(|inner| walk(inner, classes, &below)).collect())
        }
        (None | Some(Sensitivity::Secret), _) => secret(),
    }
}

fn secret() -> Value {
    json!({ "$redacted": "secret" })
}

fn collect_public(value: &Value, classes: &Classes, path: &str, words: &mut Vec<String>) {
    match value {
        Value::Object(fields) if class_at(classes, path).is_none() => {
            for (key, inner) in fields {
                collect_public(inner, classes, &child_path(classes, path, key), words);
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

fn scrub(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrub_text(text)),
        Value::Array(items) => Value::Array(items.iter().map(scrub).collect()),
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, inner)| (key.clone(), scrub(inner))).collect()),
        _ => value.clone(),
    }
}

/// Starts of tokens that are known to be secrets, and how many word characters have to follow.
const TOKENS: &[(&str, usize)] = &[
    ("flk_live_", 20),
    ("sk-", 20),
    ("sk_live_", 16),
    ("ghp_", 30),
    ("gho_", 30),
    ("github_pat_", 30),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("eyJhbGciOi", 20),
    ("hvs.", 20),
    ("dop_v1_", 30),
];

/// `text` with known token patterns and private key blocks replaced.
#[must_use]
pub fn scrub_text(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, token)) = next_token(rest) {
        let (before, after) = rest.split_at(at);
        clean.push_str(before);
        clean.push_str("[redacted token]");
        rest = after.get(token..).unwrap_or_default();
    }
    clean.push_str(rest);
    clean
}

const KEY_BLOCK: &str = "-----BEGIN ";

fn next_token(text: &str) -> Option<(usize, usize)> {
    let tokens = TOKENS.iter().filter_map(|(start, least)| {
        text.match_indices(start).find_map(|(at, _)| {
            let body = text.get(at + start.len()..)?;
            let length = body.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.+/=".contains(c))).unwrap_or(body.len());
            (length >= *least).then_some((at, start.len() + length))
        })
    });
    let block = text.match_indices(KEY_BLOCK).find_map(|(at, _)| {
        let body = text.get(at..)?;
        let head = body.lines().next()?;
        head.contains("PRIVATE KEY").then(|| {
            let end = body.find("-----END ").and_then(|end| Some(end + body.get(end..)?.find('\n').unwrap_or(body.len() - end)));
            (at, end.unwrap_or(body.len()))
        })
    });
    tokens.chain(block).min_by_key(|(at, _)| *at)
}
