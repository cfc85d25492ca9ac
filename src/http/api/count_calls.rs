//! `GET /api/v1/calls/histogram`: how the calls of a search stand over time, with the same filters as the list.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::core::dated::dated;
use crate::core::search::Field;
use crate::core::sight::Sight;
use crate::http::Http;
use crate::http::asked::Asked;
use crate::http::body::Filters;
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::tools::ActivityQuery;

/// Parts that the time is cut into.
const BUCKETS: u32 = 60;

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Filters(asked): Filters<Asked>,
) -> Result<Json<Value>, Problem> {
    let noted = json!(asked);
    let search = asked.search(http.door.control().ports.clock.now()).map_err(Problem::malformed)?;
    let whose = search.value(Field::Account).and_then(|account| account.parse().ok());
    http.door.check_reader(&caller.principal, "calls", whose, noted).await?;
    let sight = Sight::of(&caller.principal, &http.door.state());
    let query = ActivityQuery { sight, search, limit: 1, ..ActivityQuery::default() };
    let histogram = http.door.control().ports.activity.histogram(query, BUCKETS).await?;
    Ok(Json(dated(json!(histogram))))
}
