//! Times at the border of the tools: RFC 3339 outside, microseconds inside.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::core::time::Micros;

/// The instant in RFC 3339, or null.
pub(super) fn render_maybe(at: Option<Micros>) -> Value {
    at.map_or(Value::Null, Micros::document)
}

/// An instant as it was given: a text, or microseconds since 1970; null and absent are none.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Given(Option<Value>);

impl Given {
    /// The instant; or that the argument of this name is none, and what was probably meant.
    pub(super) fn read(&self, name: &str) -> Result<Option<Micros>, Refusal> {
        let read = match &self.0 {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => Micros::read(text).map_err(|error| error.to_string()),
            Some(Value::Number(number)) => {
                whole(number).and_then(|number| Micros::counted(number).map_err(|error| error.to_string()))
            }
            Some(_) => Err("a time is a text, or a number".to_owned()),
        };
        read.map(Some).map_err(|why| {
            let details = json!({ "faults": [{ "path": format!("/{name}"), "rule": "time" }] });
            Refusal::new(Code::ValidationFailed, format!("{name}: {why}.")).details(details)
        })
    }
}

fn whole(number: &serde_json::Number) -> Result<i64, String> {
    number.as_i64().ok_or_else(|| "a number is whole microseconds since 1970".to_owned())
}
