//! The class of each path of a document, out of its schema.

use serde_json::Value;

use crate::core::redact::{Classes, Sensitivity};

/// Where a field says its class: `#[schemars(extend("x-class" = Public))]`.
const CLASS: &str = "x-class";

/// Takes the classes out of a schema; or says which path has none, or two.
pub(super) fn taken(schema: &mut Value) -> Result<Classes, String> {
    let mut classes = Classes::new();
    if schema["properties"].is_null() {
        // Nothing is given, or nothing is answered.
        return Ok(classes);
    }
    take(schema, "", None, &mut classes)?;
    Ok(classes)
}

fn take(schema: &mut Value, path: &str, above: Option<Sensitivity>, classes: &mut Classes) -> Result<(), String> {
    let own = schema.as_object_mut().and_then(|fields| fields.remove(CLASS));
    let own: Option<Sensitivity> =
        own.map(serde_json::from_value).transpose().map_err(|_| format!("the class of {path} is none"))?;
    match (above, own) {
        (Some(_), Some(_)) => return Err(format!("{path} has a class, and what it is in has one")),
        (None, Some(class)) => drop(classes.insert(path.to_owned(), class)),
        _ => {}
    }
    let above = above.or(own);
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let mut leads_on = false;
    for (name, inner) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        leads_on = true;
        if name.contains('.') {
            return Err(format!("a name with a dot: {name}"));
        }
        take(inner, &below(name), above, classes)?;
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(name).filter(|inner| inner.is_object()) {
            leads_on = true;
            take(inner, &below("*"), above, classes)?;
        }
    }
    let alternatives = ["$ref", "anyOf", "oneOf", "allOf", "$defs"].into_iter().find(|name| schema.get(*name).is_some());
    match alternatives {
        Some(name) => Err(format!("{} is more than one type of document: {name}", if path.is_empty() { "/" } else { path })),
        None if above.is_none() && !leads_on => Err(format!("{path} has no class")),
        None => Ok(()),
    }
}
