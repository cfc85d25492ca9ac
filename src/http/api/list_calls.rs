//! `GET /api/v1/calls`: what happened, newest first. A customer reads its own account; staff read all, and it is noted.

use std::sync::Arc;

use serde_json::json;

use super::endpoint::{Endpoint, ReadRequest};
use crate::core::reading::Reading;
use crate::core::visibility::Visibility;
use crate::http::Http;
use crate::http::call_filters::{CallFilters, page_size};
use crate::http::problem::Problem;
use crate::tools::{ActivityPage, ActivityQuery};

pub fn endpoint() -> Endpoint {
    Endpoint::reading("/calls", "The calls, newest first.", |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, .. }: ReadRequest, asked: CallFilters) -> Result<ActivityPage, Problem> {
    let noted = json!(asked);
    let commands = asked.reads_commands(&caller.principal);
    let (limit, cursor) = (page_size(asked.limit).map_err(Problem::malformed)?, asked.cursor.clone());
    let search =
        asked.search(http.gateway.control().ports.clock.now(), &http.gateway.control().catalogue).map_err(Problem::malformed)?;
    let whose = http.gateway.state().owner_of_found(&search);
    http.gateway.check_reader(&caller.principal, Reading::Calls, whose, noted).await?;
    // What is not the reader's own is not found: absent and not one's own look the same.
    let visibility = Visibility::of(&caller.principal, &http.gateway.state());
    let query = ActivityQuery { visibility, search, commands, limit, cursor, as_of: None };
    Ok(http.gateway.control().ports.activity.list(query).await?)
}
