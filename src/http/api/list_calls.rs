//! `GET /api/v1/calls`: what happened, newest first. A customer reads its own account; staff read all, and it is noted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::core::dated::dated;
use crate::core::search::Field;
use crate::core::sight::Sight;
use crate::http::Http;
use crate::http::asked::{Asked, page_size};
use crate::http::body::Filters;
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::tools::{ActivityPage, ActivityQuery};

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Filters(asked): Filters<Asked>,
) -> Result<Json<Value>, Problem> {
    let noted = json!(asked);
    let (limit, cursor) = (page_size(asked.limit).map_err(Problem::malformed)?, asked.cursor.clone());
    let search = asked.search(http.door.control().ports.clock.now()).map_err(Problem::malformed)?;
    let whose = search.value(Field::Account).and_then(|account| account.parse().ok());
    http.door.check_reader(&caller.principal, "calls", whose, noted).await?;
    // What is not the reader's own is not found: absent and not one's own look the same.
    let sight = Sight::of(&caller.principal, &http.door.state());
    let query = ActivityQuery { sight, search, limit, cursor, as_of: None };
    let page = http.door.control().ports.activity.list(query).await?;
    Ok(Json(render(&page)))
}

fn render(page: &ActivityPage) -> Value {
    let items: Vec<Value> = page.items.iter().map(|record| dated(json!(record))).collect();
    json!({ "items": items, "next_cursor": page.next_cursor, "as_of": page.as_of })
}
