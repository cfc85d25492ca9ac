//! Shortens a long document for the record: keeps the head and the tail of each long text.
//!
//! INVARIANT: the result is a valid JSON document and never longer than requested.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How much of either end of a long text is kept.
const END: usize = 4 * 1024;

/// `document`, with long texts in it shortened; of one that is too long all the same, only size and digest.
#[must_use]
pub fn shorten_document(document: Value, most: usize) -> Value {
    shorten_document_to(document, END, most)
}

/// The same, with `end` bytes of either end of a long text.
#[must_use]
pub fn shorten_document_to(document: Value, end: usize, most: usize) -> Value {
    let whole = text(&document);
    if whole.len() <= most {
        return document;
    }
    let shorter = shorten(document, end);
    if text(&shorter).len() <= most {
        return shorter;
    }
    json!({ "$abridged": { "size": whole.len(), "sha256": hex::encode(Sha256::digest(&whole)) } })
}

/// A document as it is sealed.
#[must_use]
pub fn text(document: &Value) -> Vec<u8> {
    // A document whose keys are texts can always be written.
    serde_json::to_vec(document).unwrap_or_default()
}

fn shorten(value: Value, end: usize) -> Value {
    match value {
        Value::String(text) if text.len() > 2 * end => Value::String(ends(&text, end)),
        Value::Array(items) => items.into_iter().map(|item| shorten(item, end)).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, inner)| (key, shorten(inner, end))).collect(),
        other => other,
    }
}

fn ends(text: &str, end: usize) -> String {
    let head = text.get(..text.floor_char_boundary(end)).unwrap_or_default();
    let tail = text.get(text.ceil_char_boundary(text.len() - end)..).unwrap_or_default();
    format!("{head}\n[… {} bytes are not recorded …]\n{tail}", text.len() - head.len() - tail.len())
}
