//! The `Idempotency-Key` header: over REST it is the argument `idempotency_key`, of every route that is a tool.
//!
//! INVARIANT: it is never ignored. Where it cannot be honoured the call is refused, and on record.

use serde_json::{Value, json};

use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::http::caller::KeyHeader;
use crate::tools::Tool;

/// The argument.
pub const ARGUMENT: &str = "idempotency_key";

/// Puts the key that a request names in its header among the arguments, or says why that cannot be.
pub fn take_key(args: &mut Value, header: KeyHeader, tool: Option<&Tool>) -> Result<(), Refusal> {
    let key = match header {
        KeyHeader::Absent => return Ok(()),
        KeyHeader::Unreadable => return Err(refused("The Idempotency-Key header is one plain text.")),
        KeyHeader::Given(key) => key,
    };
    if tool.is_some_and(|tool| tool.input["properties"].get(ARGUMENT).is_none()) {
        return Err(refused("This call takes no Idempotency-Key: repeating it does no harm."));
    }
    // What is no object has no key; the schema says so.
    let Some(fields) = args.as_object_mut() else { return Ok(()) };
    let given = fields.get(ARGUMENT).filter(|given| !given.is_null());
    if given.is_some_and(|given| *given != key) {
        return Err(refused("The Idempotency-Key header and the argument idempotency_key differ."));
    }
    fields.insert(ARGUMENT.to_owned(), json!(key));
    Ok(())
}

/// Over MCP, where one header may stand over many calls, it says the same as the argument or is refused.
pub fn check_key(args: &Value, header: &KeyHeader) -> Result<(), Refusal> {
    match header {
        KeyHeader::Absent => Ok(()),
        KeyHeader::Given(key) if args[ARGUMENT] == *key => Ok(()),
        _ => Err(refused("Over MCP the key is the argument idempotency_key; the Idempotency-Key header is not taken for it.")),
    }
}

fn refused(text: &str) -> Refusal {
    let faults = json!({ "faults": [{ "path": format!("/{ARGUMENT}"), "rule": "header" }] });
    Refusal::new(Code::ValidationFailed, text).details(faults)
}
