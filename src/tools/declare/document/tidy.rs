//! What schemars makes of a type, as it is published: one plain type for each field, no names of ours, no alternatives.

use serde_json::{Map, Value, json};

/// Which way a document goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// To us: bounds say what is refused. What is null is as good as absent, so nothing is nullable.
    Argument,
    /// From us: bounds are of no use to whoever reads.
    Answer,
}

/// Noise to whoever reads a schema.
const NAMES: [&str; 3] = ["$schema", "title", "format"];

/// What bounds a value that is given to us.
const BOUNDS: [&str; 8] = ["minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems"];

/// Makes it so, all the way down.
pub(super) fn tidy(schema: &mut Value, side: Side) {
    let Some(fields) = schema.as_object_mut() else {
        // Anything at all; a description makes it an object.
        *schema = json!({});
        return;
    };
    fields.retain(|name, _| !NAMES.contains(&name.as_str()));
    if side == Side::Answer {
        fields.retain(|name, _| !BOUNDS.contains(&name.as_str()) && name != "default");
    }
    if let Some(Value::String(about)) = fields.get_mut("description") {
        *about = about.replace('\n', " ");
    }
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    merge(fields, side);
    choose(fields);
    if side == Side::Argument
        && let Some(Value::Array(kinds)) = fields.get("type")
        && let [kind, Value::String(null)] = kinds.as_slice()
        && null == "null"
    {
        let kind = kind.clone();
        fields.insert("type".to_owned(), kind);
        if let Some(Value::Array(words)) = fields.get_mut("enum") {
            words.retain(|word| !word.is_null());
        }
    }
    for inner in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        tidy(inner, side);
    }
    if fields.get("additionalProperties") == Some(&Value::Bool(true)) {
        fields.remove("additionalProperties");
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(name).filter(|inner| inner.is_object()) {
            tidy(inner, side);
            // What is said of a type is for whoever reads it; the field says what is in the list.
            drop(inner.as_object_mut().and_then(|inner| inner.remove("description")));
        }
    }
    if fields.contains_key("properties") && !fields.contains_key("additionalProperties") && side == Side::Answer {
        fields.insert("additionalProperties".to_owned(), false.into());
    }
}

/// Something or null: its own fields, and `null` among its types. What is said of the field goes before what is said of its type.
fn merge(fields: &mut Map<String, Value>, side: Side) {
    let Some(Value::Array(either)) = fields.get("anyOf") else { return };
    let [Value::Object(something), null] = either.as_slice() else { return };
    if *null != json!({ "type": "null" }) {
        return;
    }
    let mut something = something.clone();
    fields.remove("anyOf");
    choose(&mut something);
    if side == Side::Answer {
        if let Some(kind) = something.get("type").filter(|kind| kind.is_string()).cloned() {
            something.insert("type".to_owned(), json!([kind, "null"]));
        }
        if let Some(Value::Array(words)) = something.get_mut("enum") {
            words.push(Value::Null);
        }
    }
    for (name, value) in something {
        if !NAMES.contains(&name.as_str()) {
            fields.entry(name).or_insert(value);
        }
    }
}

/// One of several words, whatever is said of each of them.
fn choose(fields: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = fields.get("oneOf") else { return };
    let mut words = Vec::new();
    for choice in choices {
        match (choice.get("const"), choice.get("enum")) {
            (Some(word), _) => words.push(word.clone()),
            (None, Some(Value::Array(several))) => words.extend(several.iter().cloned()),
            _ => return,
        }
    }
    fields.remove("oneOf");
    fields.insert("type".to_owned(), "string".into());
    fields.insert("enum".to_owned(), words.into());
}
