//! An error as one JSON document, for whoever asked for `--json`: in the form that REST answers errors in, with what the command
//! found. It goes where an answer would, so that a program reads one place; people read the same on standard error.

use std::io::Write;

use serde_json::{Value, json};

use super::CliError;
use crate::core::scrub::scrub_text;

/// Prints it; `text` is the whole error in words.
pub fn print_error(text: &str, error: Option<&CliError>) {
    // Whoever has gone reads it on standard error, or not at all.
    let _ = writeln!(std::io::stdout().lock(), "{:#}", error_document(text, error));
}

fn error_document(text: &str, error: Option<&CliError>) -> Value {
    let (mut document, call) = match error.and_then(CliError::refusal) {
        Some(refusal) => (refusal.body(None), refusal.details.get("call_id").cloned()),
        None => (json!({ "error": { "message": scrub_text(message(text, error)) } }), None),
    };
    let Some(fields) = document["error"].as_object_mut() else { return document };
    if let Some(hint) = error.and_then(CliError::next_step) {
        fields.insert("hint".into(), scrub_text(&hint).into());
    }
    if let Some(call) = call {
        fields.insert("call_id".into(), call);
        if let Some(details) = fields.get_mut("details").and_then(Value::as_object_mut) {
            details.remove("call_id");
        }
    }
    let found = match error {
        Some(CliError::Faults { faults, more }) => vec![("faults", json!(faults)), ("more", json!(more))],
        Some(CliError::Checked { lines, .. }) => vec![("lines", json!(lines))],
        _ => Vec::new(),
    };
    fields.extend(found.into_iter().map(|(name, value)| (name.to_owned(), value)));
    document
}

/// The error in words, without the lines that the document has one by one.
fn message<'a>(text: &'a str, error: Option<&CliError>) -> &'a str {
    match error {
        Some(CliError::Faults { .. } | CliError::Checked { .. }) => text.lines().next().unwrap_or_default(),
        _ => text,
    }
}
