//! Checking arguments against a tool's schema. An error names path and rule, never a value nor the name of an
//! argument that is not ours: either may be a secret.
//!
//! INVARIANT: every word of an error is one of JSON Schema, of a schema of ours, or written here. No type of ours or of a
//! library shows through.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Map, Value, json};

use crate::core::code::Code;
use crate::core::near::did_you_mean;
use crate::core::refusal::Refusal;
use crate::core::visible::counted;

/// At most so many faults are told.
const TOLD: usize = 8;

/// At most so many of them in words.
const SAID: usize = 3;

/// What is wrong with `args`, if anything.
#[must_use]
pub fn invalid(validator: &jsonschema::Validator, args: &Value) -> Option<Refusal> {
    let errors: Vec<_> = validator.iter_errors(args).take(TOLD).collect();
    if errors.is_empty() {
        return None;
    }
    let words: Vec<String> = errors.iter().take(SAID).map(said).collect();
    let text = format!("The arguments do not fit the schema: {}.", words.join("; "));
    let faults: Vec<Value> = errors.iter().map(fault).collect();
    Some(Refusal::new(Code::ValidationFailed, text).details(json!({ "faults": faults })))
}

/// Which names of ours were probably meant by those that are not.
pub(super) fn meant(schema: &Value, args: &Value) -> Option<String> {
    let (known, given) = (schema["properties"].as_object()?, args.as_object()?);
    given.iter().find_map(|(name, value)| match known.get(name) {
        Some(below) => meant(below, value),
        None => did_you_mean(name, known.keys().map(String::as_str), str::to_owned).or_else(|| longer(name, known)),
    })
}

/// The only name of ours that has this one as its first or last word, such as `vm_id` for `vm` or `id`.
fn longer(name: &str, known: &Map<String, Value>) -> Option<String> {
    let (first, last) = (format!("{name}_"), format!("_{name}"));
    let mut found = known.keys().filter(|own| own.starts_with(&first) || own.ends_with(&last));
    let (one, other) = (found.next()?, found.next());
    other.is_none().then(|| format!("Did you mean {one}?"))
}

/// A fault in words: which argument, what it has to be, and of what type it was.
fn said(error: &jsonschema::ValidationError<'_>) -> String {
    let name = name(&error.instance_path().to_string());
    let list = |words: &Value| {
        let word = |word: &Value| word.as_str().map_or_else(|| word.to_string(), str::to_owned);
        words.as_array().map(|words| words.iter().map(word).collect::<Vec<_>>().join(", ")).unwrap_or_default()
    };
    match error.kind() {
        // A name of ours: the schema requires no other.
        ValidationErrorKind::Required { property } => {
            let missing = property.as_str().unwrap_or_default();
            if name.is_empty() { format!("{missing} is missing") } else { format!("{missing} is missing in {name}") }
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let place = if name.is_empty() { "the tool".to_owned() } else { name };
            let many = if unexpected.len() == 1 { "one of the arguments is" } else { "some of the arguments are" };
            format!("{many} unknown: {place} takes no such name")
        }
        ValidationErrorKind::Enum { options } => format!("{name} must be one of {}", list(options)),
        ValidationErrorKind::Type { kind } => {
            let (given, expected) = (kind_of(error.instance()), expected(kind));
            let expected = expected.as_str().map_or_else(|| list(&expected), str::to_owned);
            if name.is_empty() {
                return format!("they must be of type {expected}, and are of type {given}");
            }
            format!("{name} must be of type {expected}, and is of type {given}")
        }
        ValidationErrorKind::Minimum { limit } => format!("{name} must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("{name} must be at most {limit}"),
        ValidationErrorKind::MinLength { limit } => format!("{name} must have at least {}", counted(*limit, "character")),
        ValidationErrorKind::MaxLength { limit } => format!("{name} must have at most {}", counted(*limit, "character")),
        ValidationErrorKind::MinItems { limit } => format!("{name} must have at least {}", counted(*limit, "item")),
        ValidationErrorKind::MaxItems { limit } => format!("{name} must have at most {}", counted(*limit, "item")),
        ValidationErrorKind::Pattern { pattern } => match id_prefix(pattern) {
            Some(prefix) => format!("{name} must be {prefix} followed by 26 characters, as the lists show it"),
            None => format!("{name} must have the form {pattern}"),
        },
        other => format!("{name} breaks the rule {}", other.keyword()),
    }
}

/// What an id begins with, of the pattern of ids.
fn id_prefix(pattern: &str) -> Option<&str> {
    pattern.strip_prefix('^')?.strip_suffix("[0-9A-HJKMNP-TV-Z]{26}$")
}

/// An argument by its path, as people write it; nothing for all of them. What is not a name of ours is not told.
fn name(path: &str) -> String {
    path.trim_start_matches('/').replace('/', ".")
}

/// The type of a value by its name in JSON Schema.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A refusal of an argument that has its type and bounds, and is not in its format: as its description says.
pub(super) fn invalid_row(schema: &Value, path: &str) -> Refusal {
    let text = format!("The arguments do not fit the schema: {} is not in its format.", name(path));
    let faults = json!({ "faults": [{ "path": path, "rule": "format" }] });
    let refusal = Refusal::new(Code::ValidationFailed, text).details(faults);
    // An element of a list is described with it.
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let about = schema["properties"][first]["description"].as_str();
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
