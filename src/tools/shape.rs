//! Objects as tools take and give them: JSON Schema and redaction classes from one declaration.
//!
//! INVARIANT: a field cannot be declared without a class, so that nothing is recorded by oversight (P10).

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Misfit;
use super::typed::misfit;
use crate::core::redact::{Classes, Sensitivity};

/// The fields of an argument or result object.
pub(super) struct Shape {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    classes: Classes,
    misfit: Misfit,
}

/// Arguments as a tool takes them.
pub(super) struct Input {
    pub(super) schema: Value,
    pub(super) classes: Classes,
    pub(super) misfit: Misfit,
}

/// A result as a tool gives it.
pub(super) struct Output {
    pub(super) schema: Value,
    pub(super) classes: Classes,
    pub(super) answers: Vec<&'static str>,
}

impl Shape {
    /// An object without fields.
    pub(super) fn new() -> Self {
        Self { properties: Map::new(), required: Vec::new(), classes: Classes::new(), misfit: |_| None }
    }

    /// The handler reads these arguments as a `T`: what is no `T` is refused with the schema, before anything is decided.
    pub(super) fn read_as<T: DeserializeOwned>(mut self) -> Self {
        self.misfit = misfit::<T>;
        self
    }

    /// A field that is always there. The class holds for everything below it.
    pub(super) fn must(mut self, name: &'static str, class: Sensitivity, schema: Value) -> Self {
        self.required.push(name);
        self.may(name, class, schema)
    }

    /// A field that may be absent.
    pub(super) fn may(mut self, name: &'static str, class: Sensitivity, schema: Value) -> Self {
        self.properties.insert(name.to_owned(), schema);
        self.classes.insert(name, class);
        self
    }

    /// The VM that a call is about. The pipeline finds it and checks whose it is.
    pub(super) fn vm(self) -> Self {
        self.must("vm_id", Sensitivity::Public, text("The VM: its id, or its exact label.", 64))
    }

    /// What every write accepts.
    pub(super) fn keyed(self) -> Self {
        let about = "Repeating a call with the same key and arguments within 24 hours answers with the first one's result.";
        self.may("idempotency_key", Sensitivity::Content, text(about, 64))
    }

    /// As arguments: nothing else is allowed.
    pub(super) fn input(self) -> Input {
        let schema = json!({
            "type": "object", "properties": self.properties, "required": self.required, "additionalProperties": false,
        });
        Input { schema, classes: self.classes, misfit: self.misfit }
    }

    /// As a result. One object with room for each of the three documents that a call may be answered with: the result itself,
    /// the operation if it takes longer than its caller waits, and the error. Clients check every answer against this, and some
    /// take no alternatives at the root, so nothing is required here; what a result always has is kept beside it.
    pub(super) fn output(mut self) -> Output {
        for (name, about) in [
            ("operation_id", "The call, if it goes on; operation_get tells more."),
            ("command_id", "The same id, if it is a command in a guest."),
            ("status", "How the call stands, if it goes on."),
        ] {
            if !self.properties.contains_key(name) {
                self = self.may(name, Sensitivity::Public, json!({ "type": "string", "description": about }));
            }
        }
        self = self.may("error", Sensitivity::Content, error_schema());
        let schema = json!({ "type": "object", "properties": self.properties, "additionalProperties": false });
        Output { schema, classes: self.classes, answers: self.required }
    }
}

/// What stands in a result in place of everything else if the call was refused or failed.
fn error_schema() -> Value {
    json!({
        "type": "object",
        "description": "Why the call was refused or did not succeed.",
        "properties": {
            "code": any("string", "Stable; what to go by."),
            "message": any("string", "The same for people."),
            "hint": any("string", "What to do about it."),
            "retryable": any("boolean", "The same call may succeed later."),
            "retry_after_ms": any("integer", "When."),
            "call_id": any("string", "The call, as it is on record."),
            "details": any("object", "More, by code."),
        },
        "required": ["code", "message", "retryable", "details"],
        "additionalProperties": false,
    })
}

/// A text of 1 to `most` characters.
pub(super) fn text(about: &str, most: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": most, "description": about })
}

/// One of these words.
pub(super) fn choice(about: &str, words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words, "description": about })
}

/// A whole number in a range.
pub(super) fn number(about: &str, least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": about })
}

/// A whole number in a range, with a default.
pub(super) fn number_or(about: &str, least: u64, most: u64, default: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "default": default, "description": about })
}

/// A yes or no.
pub(super) fn flag(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

/// Something of a JSON type in a result.
pub(super) fn any(kind: &str, about: &str) -> Value {
    json!({ "type": kind, "description": about })
}

/// Something of a JSON type, or null.
pub(super) fn maybe(kind: &str, about: &str) -> Value {
    json!({ "type": [kind, "null"], "description": about })
}

/// A list of texts.
pub(super) fn texts(about: &str, each: usize, most: usize) -> Value {
    json!({
        "type": "array", "maxItems": most, "uniqueItems": true, "description": about,
        "items": { "type": "string", "minLength": 1, "maxLength": each },
    })
}

/// An id with this prefix.
pub(super) fn id(prefix: &str, about: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^{prefix}_[0-9A-HJKMNP-TV-Z]{{26}}$"), "description": about })
}

/// A moment. One type, for clients that take no choice of types: a text.
pub(super) fn moment(about: &str) -> Value {
    text(&format!("{about} RFC 3339, such as 2026-07-28T12:00:00Z, or a date."), 40)
}
