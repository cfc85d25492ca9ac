//! Text in arguments. INVARIANT: it holds no NUL, which is no part of any name, line or command, and which not every database
//! can hold; so what is taken does not depend on where it is kept.

use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// That a text has a NUL, and where.
#[must_use]
pub(super) fn nul_in(args: &Value) -> Option<Refusal> {
    let path = find(args, "")?;
    let details = json!({ "faults": [{ "path": path, "rule": "no NUL" }] });
    Some(
        Refusal::new(Code::ValidationFailed, format!("The arguments do not fit the schema: there is a NUL at {path}."))
            .details(details),
    )
}

/// Where the text is. A name that holds one is not repeated.
fn find(value: &Value, path: &str) -> Option<String> {
    let here = || Some(if path.is_empty() { "/".to_owned() } else { path.to_owned() });
    match value {
        Value::String(text) if text.contains('\0') => here(),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| find(item, &format!("{path}/{at}"))),
        Value::Object(fields) if fields.keys().any(|name| name.contains('\0')) => here(),
        Value::Object(fields) => fields.iter().find_map(|(name, item)| find(item, &format!("{path}/{name}"))),
        _ => None,
    }
}
