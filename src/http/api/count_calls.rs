//! `GET /api/v1/calls/histogram`: how the calls of a search stand over time, with the same filters as the list.

use std::sync::Arc;

use serde_json::json;

use super::endpoint::{Asking, Endpoint};
use crate::core::search::Field;
use crate::core::sight::Sight;
use crate::http::Http;
use crate::http::asked::Asked;
use crate::http::problem::Problem;
use crate::tools::{ActivityQuery, Histogram};

/// Parts that the time is cut into.
const BUCKETS: u32 = 60;

pub fn endpoint() -> Endpoint {
    let about = "How the calls stand over time.";
    Endpoint::reading("/calls/histogram", about, |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(http: Arc<Http>, Asking { caller, .. }: Asking, asked: Asked) -> Result<Histogram, Problem> {
    let noted = json!(asked);
    let search = asked.search(http.door.control().ports.clock.now()).map_err(Problem::malformed)?;
    let whose = search.value(Field::Account).and_then(|account| account.parse().ok());
    http.door.check_reader(&caller.principal, "calls", whose, noted).await?;
    let sight = Sight::of(&caller.principal, &http.door.state());
    let query = ActivityQuery { sight, search, limit: 1, ..ActivityQuery::default() };
    Ok(http.door.control().ports.activity.histogram(query, BUCKETS).await?)
}
