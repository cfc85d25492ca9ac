//! Checking arguments against a tool's schema. An error names path and rule, never a value nor the name of an
//! argument that is not ours: either may be a secret.
//!
//! INVARIANT: every word of an error is one of JSON Schema, of a schema of ours, or written here. No type of ours or of a
//! library shows through.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// At most so many faults are told.
const TOLD: usize = 8;

/// What is wrong with `args`, if anything.
#[must_use]
pub fn invalid(validator: &jsonschema::Validator, args: &Value) -> Option<Refusal> {
    let faults: Vec<Value> = validator.iter_errors(args).take(TOLD).map(|error| fault(&error)).collect();
    (!faults.is_empty()).then(|| refusal(&faults))
}

/// A refusal of arguments with these faults.
fn refusal(faults: &[Value]) -> Refusal {
    let first = faults.first().unwrap_or(&Value::Null);
    let (rule, path) = (first["rule"].as_str().unwrap_or_default(), first["path"].as_str().unwrap_or_default());
    let text = match first["missing"].as_str() {
        // A name of ours: the schema requires no other.
        Some(name) if path == "/" => format!("The arguments do not fit the schema: {name} is missing."),
        Some(name) => format!("The arguments do not fit the schema: {name} is missing at {path}."),
        None => format!("The arguments do not fit the schema: {rule} at {path}."),
    };
    Refusal::new(Code::ValidationFailed, text).details(json!({ "faults": faults }))
}

/// A refusal of an argument that has its type and bounds, and is not in its format: as its description says.
pub(super) fn invalid_row(schema: &Value, path: &str) -> Refusal {
    let refusal = refusal(&[json!({ "path": path, "rule": "format" })]);
    let about = path.strip_prefix('/').and_then(|name| schema["properties"][name]["description"].as_str());
    match about {
        Some(about) => refusal.hint(about),
        None => refusal,
    }
}

fn fault(error: &jsonschema::ValidationError<'_>) -> Value {
    let path = error.instance_path().to_string();
    let path = if path.is_empty() { "/".to_owned() } else { path };
    let mut fault = json!({ "path": path, "rule": error.kind().keyword() });
    let named = match error.kind() {
        ValidationErrorKind::Required { property } => property.as_str().map(|name| ("missing", json!(name))),
        ValidationErrorKind::AdditionalProperties { unexpected } => Some(("unexpected", json!(unexpected.len()))),
        ValidationErrorKind::Enum { options } => Some(("allowed", Value::clone(options))),
        ValidationErrorKind::Type { kind } => Some(("expected", expected(kind))),
        ValidationErrorKind::Minimum { limit } | ValidationErrorKind::Maximum { limit } => Some(("limit", limit.clone())),
        ValidationErrorKind::MinLength { limit }
        | ValidationErrorKind::MaxLength { limit }
        | ValidationErrorKind::MinItems { limit }
        | ValidationErrorKind::MaxItems { limit } => Some(("limit", json!(limit))),
        _ => None,
    };
    if let (Some((key, value)), Some(object)) = (named, fault.as_object_mut()) {
        object.insert(key.to_owned(), value);
    }
    fault
}

/// The type, or the types, by their names in JSON Schema.
fn expected(kind: &TypeKind) -> Value {
    match kind {
        TypeKind::Single(one) => json!(one.as_str()),
        TypeKind::Multiple(several) => several.iter().map(jsonschema::JsonType::as_str).collect(),
    }
}
