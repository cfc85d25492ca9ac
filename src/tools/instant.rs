//! Times at the border of the tools: RFC 3339 outside, microseconds inside. Only a text is a time, for clients that take no
//! choice of types.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::core::time::Micros;

/// The instant in RFC 3339, or null.
pub(super) fn render_maybe(at: Option<Micros>) -> Value {
    at.map_or(Value::Null, Micros::document)
}

/// An instant as it was given; null and absent are none.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Micros>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| Micros::read(&text).map_err(serde::de::Error::custom)).transpose()
}
