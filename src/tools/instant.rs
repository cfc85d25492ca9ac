//! Times at the border of the tools: RFC 3339 outside, microseconds inside.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::core::time::Micros;

/// The instant in RFC 3339; the number itself if no calendar has it.
pub(super) fn render(at: Micros) -> Value {
    let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1000).ok();
    instant.and_then(|instant| instant.format(&Rfc3339).ok()).map_or(json!(at), Value::from)
}

/// The same, or null.
pub(super) fn render_maybe(at: Option<Micros>) -> Value {
    at.map_or(Value::Null, render)
}

/// Reads an optional instant in either form.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Micros>, D::Error> {
    let wrong = || serde::de::Error::custom("neither RFC 3339 nor microseconds");
    match Option::<Value>::deserialize(from)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number.as_i64().map(|micros| Some(Micros(micros))).ok_or_else(wrong),
        Some(Value::String(text)) => {
            let instant = OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| wrong())?;
            i64::try_from(instant.unix_timestamp_nanos() / 1000).map(|micros| Some(Micros(micros))).map_err(|_| wrong())
        }
        Some(_) => Err(wrong()),
    }
}
