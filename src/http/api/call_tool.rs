//! `POST /api/v1/tools/{name}`: calls a tool; the body is its arguments.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::answer_reply;
use crate::http::Http;
use crate::http::body::{Arguments, Segment};
use crate::http::caller::Caller;
use crate::http::problem::Problem;

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Segment(name): Segment,
    Arguments(args): Arguments,
) -> Result<Response, Problem> {
    Ok(answer_reply(http.call(caller, &name, args).await?))
}
