//! `GET /api/v1/calls/histogram`: how the calls of a search stand over time, with the same filters as the list.

use std::sync::Arc;

use super::asked_calls::AskedCalls;
use super::endpoint::{Endpoint, ReadRequest};
use crate::core::reading::Reading;
use crate::http::Http;
use crate::http::call_filters::CallFilters;
use crate::http::problem::Problem;
use crate::tools::Histogram;

/// Parts that the time is cut into.
const BUCKETS: u32 = 60;

pub fn endpoint() -> Endpoint {
    let about = "How the calls stand over time.";
    Endpoint::reading("/calls/histogram", about, |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, .. }: ReadRequest, asked: CallFilters) -> Result<Histogram, Problem> {
    let who = &caller.principal;
    let query = AskedCalls::of(&http, who, &asked)?.read(&http, who, Reading::Calls).await?;
    Ok(http.gateway.control().ports.activity.histogram(query, BUCKETS).await?)
}
