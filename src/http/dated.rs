//! Times at the border: RFC 3339 for people, microseconds inside.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::core::time::Micros;

/// The instant in RFC 3339; the number itself if no calendar has it.
pub fn render(at: Micros) -> Value {
    let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1000).ok();
    instant.and_then(|instant| instant.format(&Rfc3339).ok()).map_or(json!(at), Value::from)
}

/// `document` with the microseconds under `at` and `…_at` rendered. A leaf stays as it was hashed.
pub fn dated(document: Value) -> Value {
    match document {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                if name == "leaf" {
                    return (name, value);
                }
                let time = value.as_i64().filter(|_| name == "at" || name.ends_with("_at")).map(Micros);
                let value = time.map_or_else(|| dated(value), render);
                (name, value)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(dated).collect(),
        other => other,
    }
}
