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
    /// The same as it is listed: it costs every conversation its length. Clients check every answer against this, also an
    /// operation that takes longer than its caller waits, and an error; some take no alternatives at the root, so nothing is
    /// required here, and nothing ruled out.
    pub(super) listed: Value,
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
    let (properties, required) = (taken(&mut schema), required(&schema));
    // What a call is answered with in place of its result, if it goes on or does not succeed.
    for (name, class) in [
        ("operation_id", Sensitivity::Public),
        ("command_id", Sensitivity::Public),
        ("status", Sensitivity::Public),
        ("error", Sensitivity::Content),
    ] {
        if !properties.contains_key(name) {
            classes.insert(name.to_owned(), class);
        }
    }
    let listed = listed(&properties);
    let exact = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    Ok(Output { exact, listed, classes })
}

/// The names of a result's fields, and which of them are lists or objects.
fn listed(properties: &Map<String, Value>) -> Value {
    let kind = |field: &Value| match &field["type"] {
        kind if kind == "array" || kind == "object" => json!({ "type": kind }),
        _ => json!({}),
    };
    let fields: Map<String, Value> = properties.iter().map(|(name, field)| (name.clone(), kind(field))).collect();
    json!({ "type": "object", "properties": fields })
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
