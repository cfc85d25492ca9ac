//! Schemas and redaction classes out of types, and the one place where what schemars makes of a type becomes what is published.
//!
//! INVARIANT: each path of a document has exactly one class: its field has one (`x-class`), which holds for all below it, or every
//! field below it has (P10). The class is of no concern to clients and is not published.

mod classes;
mod tidy;

use std::ops::{Deref, DerefMut};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::common_args::{CommonArg, CommonArgs};
use crate::core::redact::{Classes, Sensitivity};
use crate::core::tool_result::ToolResult;
use tidy::Side;

/// What an operation may answer: a document of one type.
pub trait Document: Send {
    /// As schemars makes it.
    fn schema() -> Value;

    /// As it is answered and recorded.
    fn into_result(self) -> ToolResult;
}

impl<T: Serialize + JsonSchema + Send> Document for T {
    fn schema() -> Value {
        schema_of::<T>(SchemaSettings::draft2020_12().for_serialize())
    }

    fn into_result(self) -> ToolResult {
        ToolResult::from(json!(self))
    }
}

/// The arguments of an operation that takes none of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Nothing {}

/// A document with excerpts in it, of which whoever cut them says what is recorded.
pub struct Kept<T> {
    shown: ToolResult,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T: Document> From<T> for Kept<T> {
    fn from(document: T) -> Self {
        Self { shown: document.into_result(), of: std::marker::PhantomData }
    }
}

impl<T> Deref for Kept<T> {
    type Target = ToolResult;
    fn deref(&self) -> &ToolResult {
        &self.shown
    }
}

impl<T> DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut ToolResult {
        &mut self.shown
    }
}

impl<T: Document> Document for Kept<T> {
    fn schema() -> Value {
        T::schema()
    }

    fn into_result(self) -> ToolResult {
        self.shown
    }
}

/// The arguments of an operation.
pub(super) struct Input {
    pub(super) schema: Value,
    pub(super) classes: Classes,
}

/// What an operation answers.
pub(super) struct Output {
    /// The result, exactly: what it always has is required.
    pub(super) exact: Value,
    /// One object with room for each of the three documents that a call may be answered with: the result, the operation if it
    /// takes longer than its caller waits, and the error. Clients check every answer against this, and some take no alternatives
    /// at the root, so nothing is required here.
    pub(super) published: Value,
    pub(super) classes: Classes,
}

/// The arguments of type `A`, with those that the operation has by what it is. Nothing else is allowed.
pub(super) fn input<A: JsonSchema>(asked: Vec<CommonArg>) -> Result<Input, String> {
    let (mut schema, mut classes) = described(schema_of::<A>(settings()), Side::Argument)?;
    let (mut said, of_said) = described(schema_of::<CommonArgs>(settings()), Side::Argument)?;
    let (mut properties, mut required) = (taken(&mut schema), required(&schema));
    for CommonArg { name, about, required: is_required } in asked.into_iter().rev() {
        let Some(mut field) = said["properties"].as_object_mut().and_then(|fields| fields.remove(name)) else {
            return Err(format!("nothing is known of the argument {name}"));
        };
        if let Some(about) = about {
            field["description"] = json!(about);
        }
        if properties.insert(name.to_owned(), field).is_some() {
            return Err(format!("the argument {name} is declared twice"));
        }
        classes.extend(of_said.get(name).map(|class| (name.to_owned(), *class)));
        if is_required {
            required.insert(0, json!(name));
        }
    }
    let schema = json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    Ok(Input { schema, classes })
}

/// The answer of type `O`.
pub(super) fn output<O: Document>() -> Result<Output, String> {
    let (mut schema, mut classes) = described(O::schema(), Side::Answer)?;
    let (mut properties, required) = (taken(&mut schema), required(&schema));
    let exact = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    for (name, about) in [
        ("operation_id", "The call, if it goes on; operation_get tells more."),
        ("command_id", "The same id, if it is a command in a guest."),
        ("status", "How the call stands, if it goes on."),
    ] {
        if let Some(own) = properties.get_mut(name) {
            // Of an operation that goes on it says something else.
            drop(own.as_object_mut().and_then(|own| own.remove("enum")));
        } else {
            properties.insert(name.to_owned(), json!({ "type": "string", "description": about }));
            classes.insert(name.to_owned(), Sensitivity::Public);
        }
    }
    properties.insert("error".to_owned(), error());
    classes.insert("error".to_owned(), Sensitivity::Content);
    let published = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    Ok(Output { exact, published, classes })
}

/// The schema of what is answered and is no result of an operation.
#[must_use]
pub fn plain_schema<T: JsonSchema>() -> Value {
    let mut schema = schema_of::<T>(SchemaSettings::draft2020_12().for_serialize());
    tidy::tidy(&mut schema, Side::Answer);
    schema
}

/// The schema of what is asked for and is no call.
#[must_use]
pub fn asked_schema<T: JsonSchema>() -> Value {
    let mut schema = schema_of::<T>(settings());
    tidy::tidy(&mut schema, Side::Argument);
    schema
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().for_deserialize()
}

fn schema_of<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn described(mut schema: Value, side: Side) -> Result<(Value, Classes), String> {
    tidy::tidy(&mut schema, side);
    let classes = classes::taken(&mut schema)?;
    Ok((schema, classes))
}

fn taken(schema: &mut Value) -> Map<String, Value> {
    match schema["properties"].take() {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

fn required(schema: &Value) -> Vec<Value> {
    schema["required"].as_array().cloned().unwrap_or_default()
}

/// What stands in an answer in place of everything else if the call was refused or failed.
fn error() -> Value {
    let any = |kind: &str, about: &str| json!({ "type": kind, "description": about });
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
