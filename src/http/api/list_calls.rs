//! `GET /api/v1/calls`: what happened, newest first. A customer reads its own account; staff read all, and it is noted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sight::Sight;
use crate::core::search::{Fault, Field, Search};
use crate::core::time::Micros;
use crate::http::Http;
use crate::http::body::Filters;
use crate::http::caller::Caller;
use crate::http::dated::dated;
use crate::http::problem::Problem;
use crate::tools::{ActivityPage, ActivityQuery};

const PAGE: u32 = 50;

/// What may be asked for.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    account: Option<String>,
    user: Option<String>,
    credential: Option<String>,
    vm: Option<String>,
    session: Option<String>,
    tool: Option<String>,
    via: Option<String>,
    outcome: Option<String>,
    code: Option<String>,
    ip: Option<String>,
    policy: Option<String>,
    switch: Option<String>,
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
    let (limit, cursor) = (asked.limit.unwrap_or(PAGE), asked.cursor.clone());
    let search = asked.search(http.door.control().ports.clock.now())?;
    let whose = search.value(Field::Account).and_then(|account| account.parse().ok());
    http.door.check_reader(&caller.principal, "calls", whose, noted).await?;
    // What is not the reader's own is not found: absent and not one's own look the same.
    let Sight { account, credential } = Sight::of(&caller.principal, &http.door.state());
    let query = ActivityQuery { account, credential, search, limit, cursor };
    let page = http.door.control().ports.activity.list(query).await?;
    Ok(Json(render(&page)))
}

impl Asked {
    /// The fields and the line together: all of it holds.
    pub fn search(self, now: Micros) -> Result<Search, Problem> {
        let mut search =
            Search::parse(&self.q.unwrap_or_default(), now).map_err(|fault| Problem::malformed(format!("q: {fault}.")))?;
        let fields = [
            (Field::Account, self.account),
            (Field::User, self.user),
            (Field::Credential, self.credential),
            (Field::Vm, self.vm),
            (Field::Session, self.session),
            (Field::Tool, self.tool),
            (Field::Via, self.via),
            (Field::Outcome, self.outcome),
            (Field::Code, self.code),
            (Field::Ip, self.ip),
            (Field::Policy, self.policy),
            (Field::Switch, self.switch),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                let unreadable = |fault: Fault| Problem::malformed(format!("{}: {}.", field.name(), fault.why));
                search.only(field, value).map_err(unreadable)?;
            }
        }
        let time = |name: &str, text: Option<String>, else_: Option<Micros>| match text {
            None => Ok(else_),
            Some(text) => {
                let unreadable = || Problem::malformed(format!("{name}: a time is a date or RFC 3339."));
                Micros::parse(&text).map(Some).ok_or_else(unreadable)
            }
        };
        (search.from, search.to) = (time("from", self.from, search.from)?, time("to", self.to, search.to)?);
        Ok(search)
    }
}

fn render(page: &ActivityPage) -> Value {
    let items: Vec<Value> = page.items.iter().map(|record| dated(json!(record))).collect();
    json!({ "items": items, "next_cursor": page.next_cursor, "as_of": page.as_of })
}
