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
    classes.contains_key(path) || classes.range(below.as_str()..).next().is_some_and(|(listed, _)| listed.starts_with(&below))
}

fn walk(value: &Value, classes: &Classes, path: &str) -> Value {
    match (class_at(classes, path), value) {
        (Some(Sensitivity::Public | Sensitivity::Pii), _) => value.clone(),
        (Some(Sensitivity::Content), _) => scrub(value),
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

fn scrub(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrub_text(text)),
        Value::Array(items) => Value::Array(items.iter().map(scrub).collect()),
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, inner)| (scrub_text(key), scrub(inner))).collect()),
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

/// `text` with known token patterns and private key blocks replaced, in one pass: its length is the caller's choice.
#[must_use]
pub fn scrub_text(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.bytes().position(|byte| BEGINS[usize::from(byte)]) {
        // A token begins with ASCII, so this is a boundary of characters.
        let (plain, suspect) = rest.split_at(start);
        clean.push_str(plain);
        let found = key_block(suspect).or_else(|| token(suspect));
        clean.push_str(if found.is_some() { "[redacted token]" } else { suspect.get(..1).unwrap_or_default() });
        rest = suspect.get(found.unwrap_or(1)..).unwrap_or_default();
    }
    clean.push_str(rest);
    clean
}

/// The bytes that a token or a key block can begin with; all others are passed over.
static BEGINS: [bool; 256] = {
    let mut begins = [false; 256];
    let mut index = 0;
    while index < TOKENS.len() {
        begins[TOKENS[index].0.as_bytes()[0] as usize] = true;
        index += 1;
    }
    begins[b'-' as usize] = true;
    begins
};

/// Length of the token that `text` starts with. It ends where a key block begins, or the block would lose its head.
fn token(text: &str) -> Option<usize> {
    TOKENS.iter().find_map(|(start, least)| {
        let body = text.strip_prefix(start)?;
        let length = body.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.+/=".contains(c))).unwrap_or(body.len());
        let body = body.get(..length)?;
        let length = body.find("-----BEGIN").unwrap_or(length);
        (length >= *least).then_some(start.len() + length)
    })
}

const LONGEST_LABEL: usize = 64;

/// Length of the private key block that `text` starts with: all of it if it has no end.
fn key_block(text: &str) -> Option<usize> {
    let label = text.strip_prefix("-----BEGIN ")?;
    let label = label.get(..label.floor_char_boundary(LONGEST_LABEL))?;
    if !label.split("-----").next()?.contains("PRIVATE KEY") {
        return None;
    }
    let end = text.find("-----END ").and_then(|end| Some(end + text.get(end..)?.find('\n')?));
    Some(end.unwrap_or(text.len()))
}
