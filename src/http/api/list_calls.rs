//! `GET /api/v1/calls`: what happened, newest first. A customer reads its own account; staff read all, and it is noted.

use std::sync::Arc;

use serde_json::json;

use super::endpoint::{Asking, Endpoint};
use crate::core::search::Field;
use crate::core::sight::Sight;
use crate::http::Http;
use crate::http::asked::{Asked, page_size};
use crate::http::problem::Problem;
use crate::tools::{ActivityPage, ActivityQuery};

pub fn endpoint() -> Endpoint {
    Endpoint::reading("/calls", "The calls, newest first.", |http, asking, asked| Box::pin(read(http, asking, asked)))
}

async fn read(http: Arc<Http>, Asking { caller, .. }: Asking, asked: Asked) -> Result<ActivityPage, Problem> {
    let noted = json!(asked);
    let (limit, cursor) = (page_size(asked.limit).map_err(Problem::malformed)?, asked.cursor.clone());
    let search = asked.search(http.door.control().ports.clock.now()).map_err(Problem::malformed)?;
    let whose = search.value(Field::Account).and_then(|account| account.parse().ok());
    http.door.check_reader(&caller.principal, "calls", whose, noted).await?;
    // What is not the reader's own is not found: absent and not one's own look the same.
    let sight = Sight::of(&caller.principal, &http.door.state());
    let query = ActivityQuery { sight, search, limit, cursor, as_of: None };
    Ok(http.door.control().ports.activity.list(query).await?)
}
