//! Times at the border: RFC 3339 for people, microseconds inside.

use serde_json::Value;

use super::time::Micros;

/// `document` with the microseconds under `at` and `…_at` rendered. A leaf stays as it was hashed.
#[must_use]
pub fn render_times(document: Value) -> Value {
    match document {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                if name == "leaf" {
                    return (name, value);
                }
                let time = value.as_i64().filter(|_| name == "at" || name.ends_with("_at")).map(Micros);
                let value = time.map_or_else(|| render_times(value), Micros::document);
                (name, value)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(render_times).collect(),
        other => other,
    }
}
