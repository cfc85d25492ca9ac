//! `GET /api/v1/events`: what happened outside of calls, newest first: switches, keys, VMs, policies, nodes, sign-ins, and who
//! read the log. A customer sees what affects its account, staff's reading included.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sight::Sight;
use crate::core::dated::dated;
use crate::core::time::Micros;
use crate::http::Http;
use crate::http::asked::{PAGE, page_size};
use crate::http::body::Filters;
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::tools::AdministrationQuery;

/// What may be asked for.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    pub account: Option<String>,
    pub r#type: Option<String>,
    pub user: Option<String>,
    pub subject: Option<String>,
    /// Why the staff asks. Written down with the reading, and of no effect.
    pub reason: Option<String>,
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

pub async fn handle(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Filters(asked): Filters<Asked>,
) -> Result<Json<Value>, Problem> {
    let whose = asked.account.as_ref().and_then(|account| account.parse().ok());
    http.door.check_reader(&caller.principal, "events", whose, json!(asked)).await?;
    let account = Sight::of(&caller.principal, &http.door.state()).account;
    let limit = page_size(asked.limit).map_err(Problem::malformed)?;
    let query = AdministrationQuery { limit, ..http.administration_query(account, asked) };
    let page = http.door.control().ports.activity.administration(query).await?;
    let items: Vec<Value> = page.items.iter().map(|record| dated(json!(record))).collect();
    Ok(Json(json!({ "items": items, "next_cursor": page.next_cursor, "as_of": page.as_of })))
}

impl Http {
    /// An account learns of staff's reading once an investigation need not be kept from it any more.
    pub fn administration_query(&self, account: Option<crate::core::id::AccountId>, asked: Asked) -> AdministrationQuery {
        let now = self.door.control().ports.clock.now();
        let delay = i64::try_from(self.settings.reads_shown_after.as_micros()).unwrap_or(i64::MAX);
        let reads_until = account.is_some().then(|| Micros(now.0.saturating_sub(delay)));
        AdministrationQuery {
            account,
            about: asked.account,
            kind: asked.r#type,
            user: asked.user,
            subject: asked.subject,
            before: None,
            reads_until,
            cursor: asked.cursor,
            limit: asked.limit.unwrap_or(PAGE),
        }
    }
}
