//! Arguments in one form: what callers write differently and mean alike is made the same before anything looks at it, so that
//! schema, guard, HMAC, idempotency key and handler read one document.
//!
//! INVARIANT: only form changes, never meaning. What is no such slip stays as it came, for the schema to refuse.

use serde_json::{Map, Value};

/// Whole numbers lose their `.0` where the schema says integer, and an optional argument that is null is left out.
pub(super) fn normalize(schema: &Value, args: &mut Value) {
    match args {
        Value::Object(fields) => plain_fields(schema, fields),
        Value::Array(items) => items.iter_mut().for_each(|item| normalize(&schema["items"], item)),
        Value::Number(number) if schema["type"] == "integer" => {
            if let Some(whole) = number.as_f64().filter(|_| number.is_f64()).and_then(whole) {
                *args = whole.into();
            }
        }
        _ => {}
    }
}

fn plain_fields(schema: &Value, fields: &mut Map<String, Value>) {
    let known = &schema["properties"];
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name));
    fields.retain(|name, value| !value.is_null() || known.get(name).is_none() || required(name));
    for (name, value) in fields {
        normalize(&known[name.as_str()], value);
    }
}

/// The integer that a float is, as far as floats tell neighbours apart.
fn whole(float: f64) -> Option<i64> {
    /// 2⁵³
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and no larger than 2⁵³")]
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}
