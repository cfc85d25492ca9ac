//! Checking arguments against a tool's schema. An error names path and rule, never a value nor the name of an
//! argument that is not ours: either may be a secret.

use jsonschema::error::ValidationErrorKind;
use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// At most so many faults are told.
const TOLD: usize = 8;

/// What is wrong with `args`, if anything.
#[must_use]
pub fn invalid(validator: &jsonschema::Validator, args: &Value) -> Option<Refusal> {
    let faults: Vec<Value> = validator.iter_errors(args).take(TOLD).map(|error| fault(&error)).collect();
    let first = faults.first()?;
    let text = format!("The arguments do not fit the schema: {} at {}.", first["rule"].as_str()?, first["path"].as_str()?);
    Some(Refusal::new(Code::ValidationFailed, text).details(json!({ "faults": faults })))
}

fn fault(error: &jsonschema::ValidationError<'_>) -> Value {
    let path = error.instance_path().to_string();
    let path = if path.is_empty() { "/".to_owned() } else { path };
    let mut fault = json!({ "path": path, "rule": error.kind().keyword() });
    let named = match error.kind() {
        ValidationErrorKind::Required { property } => property.as_str().map(|name| ("missing", json!(name))),
        ValidationErrorKind::AdditionalProperties { unexpected } => Some(("unexpected", json!(unexpected.len()))),
        ValidationErrorKind::Enum { options } => Some(("allowed", Value::clone(options))),
        ValidationErrorKind::Type { kind } => Some(("expected", json!(format!("{kind:?}")))),
        _ => None,
    };
    if let (Some((key, value)), Some(object)) = (named, fault.as_object_mut()) {
        object.insert(key.to_owned(), value);
    }
    fault
}
