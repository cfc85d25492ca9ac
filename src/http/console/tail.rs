//! `/console/tail`: calls as they happen. Without a script it is a page that can be looked at again.

use std::sync::Arc;

use askama::Template;
use axum::extract::Query;
use axum::http::HeaderMap;
use axum::response::Response;
use futures::StreamExt;
use serde_json::{Value, json};

use super::activity::{Pairs, Row, query, query_again, rows};
use super::address::encoded;
use super::fault::Fault;
use super::frame::{Frame, page};
use super::search::line::Line;
use super::visit::Visit;
use crate::core::principal::Side;
use crate::http::asked::Asked;
use crate::http::live::{Told, Watch, Watched, answer, beginning, event, place, watched};

/// Calls that are there from the beginning.
const BEFORE: u32 = 20;

#[derive(Template)]
#[template(path = "tail.html")]
struct Page {
    frame: Frame,
    line: String,
    again: String,
    search: String,
    stream: String,
    rows: Vec<Row>,
}

fn asked(pairs: &Pairs) -> Asked {
    let line = pairs.iter().find(|(name, _)| name == "q").map_or("", |(_, value)| value);
    Asked { q: Some(Line::of(line).to_string()), limit: Some(BEFORE), ..Asked::default() }
}

/// What this session looks at, for the reason that it gave.
fn seen(visit: &Visit, asked: &Asked) -> Watched {
    watched(visit.visitor.session.hash.clone(), &json!([asked, visit.reason]))
}

/// The page.
pub async fn show(visit: Visit, Query(pairs): Query<Pairs>) -> Result<Response, Fault> {
    if !visit.is_staff() {
        return Err(Fault::NotFound);
    }
    let asked = asked(&pairs);
    let query = query(&visit, &asked, "calls").await?;
    let listed = visit.http.door.control().ports.activity.list(query).await?;
    let (seen, now) = (seen(&visit, &asked), visit.http.door.control().ports.clock.now());
    visit.http.watches.prepare(&seen, listed.as_of, now);
    let line = asked.q.unwrap_or_default();
    Ok(page(&Page {
        frame: Frame::of("Live", "/console/tail", &visit).await,
        again: format!("/console/tail?q={}", encoded(&line)),
        search: Line::of(&line).href(),
        stream: format!("/console/tail/stream?q={}&after={}", encoded(&line), listed.as_of.0),
        rows: rows(&listed.items, &visit).await,
        line,
    }))
}

/// What goes on from there.
pub async fn stream(visit: Visit, headers: HeaderMap, Query(pairs): Query<Pairs>) -> Result<Response, Fault> {
    if !visit.is_staff() {
        return Err(Fault::NotFound);
    }
    let asked = asked(&pairs);
    let session = visit.visitor.session.hash.clone();
    let watched = seen(&visit, &asked);
    let place = place(&visit.http, &visit.principal)?;
    let goes_on = visit.http.watches.goes_on(&watched, visit.http.door.control().ports.clock.now());
    let query = if goes_on && headers.contains_key("last-event-id") {
        query_again(&visit, &asked).await?
    } else {
        query(&visit, &asked, "calls/live").await?
    };
    let after = pairs.iter().find(|(name, _)| name == "after").map(|(_, value)| value.as_str());
    let after = beginning(&visit.http, &headers, after, &watched).await?;
    let watch = Watch::new(&visit.http, visit.principal.clone(), Some(session), watched, query, after, place);
    let visit = Arc::new(visit);
    let events = watch.stream().then(move |(told, id)| {
        let visit = Arc::clone(&visit);
        async move { event(&told, id, &shown(&told, &visit).await, Side::Staff) }
    });
    Ok(answer(events))
}

/// A call with the words and signs of the list; its tricks are visible already.
async fn shown(told: &Told, visit: &Visit) -> Value {
    let Told::Call(_, record) = told else { return Value::Null };
    let Some(row) = rows(std::slice::from_ref(&**record), visit).await.pop() else { return Value::Null };
    json!({
        "id": row.id, "time": row.at.utc, "iso": row.at.iso, "class": row.chip.class, "sign": row.chip.sign, "word": row.chip.word,
        "code": row.code, "tool": row.tool, "vm": row.vm.map(|vm| vm.label), "text": row.text, "by": row.by, "via": row.via,
        "account": row.account.map(|account| account.label),
    })
}
