//! Objects as tools take and give them: JSON Schema and redaction classes from one declaration.
//!
//! INVARIANT: a field cannot be declared without a class, so that nothing is recorded by oversight (P10).

use serde_json::{Map, Value, json};

use crate::core::redact::{Classes, Sensitivity};

/// The fields of an argument or result object.
#[derive(Default)]
pub(super) struct Shape {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    classes: Classes,
}

impl Shape {
    /// An object without fields.
    pub(super) fn new() -> Self {
        Self::default()
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
    pub(super) fn input(self) -> (Value, Classes) {
        let schema = json!({
            "type": "object", "properties": self.properties, "required": self.required, "additionalProperties": false,
        });
        (schema, self.classes)
    }

    /// As a result. A call that takes longer than its caller waits answers with an operation instead.
    pub(super) fn output(mut self) -> (Value, Classes) {
        let required = std::mem::take(&mut self.required);
        for (name, about) in [
            ("operation_id", "The call, if it goes on; operation_get tells more."),
            ("command_id", "The same id, if it is a command in a guest."),
            ("status", "How the call stands, if it goes on."),
        ] {
            if !self.properties.contains_key(name) {
                self = self.may(name, Sensitivity::Public, json!({ "type": "string", "description": about }));
            }
        }
        let schema = json!({
            "type": "object", "properties": self.properties, "additionalProperties": false,
            "anyOf": [{ "required": required }, { "required": ["operation_id", "status"] }],
        });
        (schema, self.classes)
    }
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

/// A moment: a time as text, or microseconds since 1970.
pub(super) fn moment(about: &str) -> Value {
    json!({ "type": ["string", "integer"], "maxLength": 40, "description": format!("{about} RFC 3339, a date, or microseconds since 1970.") })
}
