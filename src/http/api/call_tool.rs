//! `POST /api/v1/tools/{name}`: calls a tool; the body is its arguments.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::answer_reply;
use crate::http::Http;
use crate::http::body::{Arguments, Given, Segment};
use crate::http::caller::Caller;
use crate::http::problem::Problem;

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    name: Result<Segment, Problem>,
    Arguments(args): Arguments,
) -> Result<Response, Problem> {
    match name {
        Ok(Segment(name)) => Ok(answer_reply(http.call(caller, &name, args).await?)),
        // A name that is no text is no tool's; whoever tries it has called.
        Err(problem) => {
            let reply = http.call(caller, "", Given { args: Value::Null, fault: None }).await?;
            Err(problem.of_call(reply.call().cloned()))
        }
    }
}
