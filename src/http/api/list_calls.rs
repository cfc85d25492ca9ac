//! `GET /api/v1/calls`: what happened, newest first. A customer reads its own account; staff read all, and it is noted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sight::Sight;
use crate::core::time::Micros;
use crate::http::Http;
use crate::http::body::Filters;
use crate::http::caller::Caller;
use crate::http::dated::{dated, parse};
use crate::http::problem::Problem;
use crate::tools::{ActivityPage, ActivityQuery};

const PAGE: u32 = 50;
const LARGEST: u32 = 200;

/// What may be asked for.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    account: Option<String>,
    credential: Option<String>,
    vm: Option<String>,
    session: Option<String>,
    tool: Option<String>,
    outcome: Option<String>,
    code: Option<String>,
    ip: Option<String>,
    from: Option<String>,
    to: Option<String>,
    q: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Filters(asked): Filters<Asked>,
) -> Result<Json<Value>, Problem> {
    let noted = json!(asked);
    let mut query = query(asked)?;
    http.door.check_reader(&caller.principal, "calls", query.account.clone(), noted).await?;
    let sight = Sight::of(&caller.principal, &http.door.state());
    if !sight.allows(query.account.as_ref(), query.credential.as_deref()) {
        // Absent and not one's own look the same.
        return Ok(Json(render(&ActivityPage { items: Vec::new(), next_cursor: None, as_of: http.door.state().position })));
    }
    query.account = sight.account.or(query.account);
    query.credential = sight.credential.or(query.credential);
    let page = http.door.control().ports.activity.list(query).await?;
    Ok(Json(render(&page)))
}

fn query(asked: Asked) -> Result<ActivityQuery, Problem> {
    let account = asked.account.map(|text| text.parse().map_err(|_| unreadable("account"))).transpose()?;
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=LARGEST).contains(&limit) {
        return Err(unreadable("limit"));
    }
    Ok(ActivityQuery {
        account,
        credential: asked.credential,
        vm: asked.vm,
        session: asked.session,
        tool: asked.tool,
        outcome: asked.outcome,
        code: asked.code,
        ip: asked.ip,
        from: time("from", asked.from)?,
        to: time("to", asked.to)?,
        q: asked.q,
        limit,
        cursor: asked.cursor,
    })
}

fn time(name: &str, text: Option<String>) -> Result<Option<Micros>, Problem> {
    text.map(|text| parse(&text).ok_or_else(|| unreadable(name))).transpose()
}

fn unreadable(name: &str) -> Problem {
    Problem::malformed(format!("The filter {name} cannot be read."))
}

fn render(page: &ActivityPage) -> Value {
    let items: Vec<Value> = page.items.iter().map(|record| dated(json!(record))).collect();
    json!({ "items": items, "next_cursor": page.next_cursor, "as_of": page.as_of })
}
