//! `GET /api/v1/calls`: what happened, newest first. A customer reads its own account; staff read all, and it is noted.

use std::sync::Arc;

use super::asked_calls::AskedCalls;
use super::endpoint::{Endpoint, ReadRequest};
use crate::core::reading::Reading;
use crate::http::Http;
use crate::http::call_filters::{CallFilters, page_size};
use crate::http::problem::Problem;
use crate::tools::{ActivityPage, ActivityQuery};

pub fn endpoint() -> Endpoint {
    Endpoint::reading("/calls", "The calls, newest first.", |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, .. }: ReadRequest, asked: CallFilters) -> Result<ActivityPage, Problem> {
    let (limit, cursor) = (page_size(asked.limit).map_err(Problem::malformed)?, asked.cursor.clone());
    let who = &caller.principal;
    let query = AskedCalls::of(&http, who, &asked)?.read(&http, who, Reading::Calls).await?;
    Ok(http.gateway.control().ports.activity.list(ActivityQuery { limit, cursor, ..query }).await?)
}
