//! Times at the border of the tools: RFC 3339 outside, microseconds inside.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::core::time::Micros;

/// The instant in RFC 3339, or null.
pub(super) fn render_maybe(at: Option<Micros>) -> Value {
    at.map_or(Value::Null, Micros::document)
}

/// Reads an optional instant in either form.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Micros>, D::Error> {
    let wrong = || serde::de::Error::custom("neither RFC 3339 nor microseconds");
    match Option::<Value>::deserialize(from)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number.as_i64().map(|micros| Some(Micros(micros))).ok_or_else(wrong),
        Some(Value::String(text)) => Micros::from_rfc3339(&text).map(Some).ok_or_else(wrong),
        Some(_) => Err(wrong()),
    }
}
