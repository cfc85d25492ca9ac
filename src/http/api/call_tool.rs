//! `POST /api/v1/tools/{name}`: calls a tool; the body is its arguments.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::answer_reply;
use crate::http::Http;
use crate::http::body::{Arguments, Segment};
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::tools::Tool;

const KEY: &str = "idempotency_key";

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Segment(name): Segment,
    headers: HeaderMap,
    Arguments(args): Arguments,
) -> Result<Response, Problem> {
    let args = with_key(args, http.door.control().catalogue.get(&name), &headers)?;
    Ok(answer_reply(http.call(caller, &name, args).await))
}

/// The `Idempotency-Key` header says the same as the argument, for tools that take one.
fn with_key(mut args: Value, tool: Option<&Tool>, headers: &HeaderMap) -> Result<Value, Problem> {
    let takes_one = tool.is_some_and(|tool| tool.input["properties"].get(KEY).is_some());
    let Some(header) = headers.get("idempotency-key").filter(|_| takes_one) else { return Ok(args) };
    let key = header.to_str().map_err(|_| Problem::malformed("The Idempotency-Key is not plain text."))?;
    let Some(fields) = args.as_object_mut() else { return Ok(args) };
    if fields.get(KEY).is_some_and(|given| given != key) {
        return Err(Problem::malformed("The Idempotency-Key header and the argument differ."));
    }
    fields.insert(KEY.to_owned(), json!(key));
    Ok(args)
}
