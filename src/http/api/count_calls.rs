//! `GET /api/v1/calls/histogram`: how the calls of a search stand over time, with the same filters as the list.

use std::sync::Arc;

use serde_json::json;

use super::endpoint::{Endpoint, ReadRequest};
use crate::core::reading::Reading;
use crate::core::visibility::Visibility;
use crate::http::Http;
use crate::http::call_filters::CallFilters;
use crate::http::problem::Problem;
use crate::tools::{ActivityQuery, Histogram};

/// Parts that the time is cut into.
const BUCKETS: u32 = 60;

pub fn endpoint() -> Endpoint {
    let about = "How the calls stand over time.";
    Endpoint::reading("/calls/histogram", about, |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, .. }: ReadRequest, asked: CallFilters) -> Result<Histogram, Problem> {
    let noted = json!(asked);
    let commands = asked.reads_commands(&caller.principal);
    let search =
        asked.search(http.gateway.control().ports.clock.now(), &http.gateway.control().catalogue).map_err(Problem::malformed)?;
    let whose = http.gateway.state().owner_of_found(&search);
    http.gateway.check_reader(&caller.principal, Reading::Calls, whose, noted).await?;
    let visibility = Visibility::of(&caller.principal, &http.gateway.state());
    let query = ActivityQuery { visibility, search, commands, limit: 1, ..ActivityQuery::default() };
    Ok(http.gateway.control().ports.activity.histogram(query, BUCKETS).await?)
}
