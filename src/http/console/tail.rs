//! `/console/tail`: calls as they happen. Without a script it is a page that can be looked at again.

use std::sync::Arc;

use askama::Template;
use axum::extract::Query;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::activity::{Pairs, Row, query, query_again, rows};
use super::address::encoded;
use super::callers::Callers;
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::search::line::Line;
use crate::core::principal::Side;
use crate::core::reading::Reading;
use crate::http::call_filters::CallFilters;
use crate::http::live::{LiveMessage, Watch, Watched, answer, beginning, place, watched};

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

fn asked(pairs: &Pairs) -> CallFilters {
    let line = Line::of(pairs.iter().find(|(name, _)| name == "q").map_or("", |(_, value)| value));
    let line = if line.is_plain() { line.by(Callers::Agents) } else { line };
    CallFilters { q: Some(line.to_string()), limit: Some(BEFORE), ..CallFilters::default() }
}

/// What this session looks at, for the reason that it gave.
fn seen(request: &SignedInRequest, asked: &CallFilters) -> Watched {
    watched(request.signed_in.session.hash.clone(), &json!([asked, request.reason]))
}

/// The page.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    let asked = asked(&pairs);
    let query = query(&request, &asked, Reading::Calls).await?;
    let listed = request.http.gateway.control().ports.activity.list(query).await?;
    let (seen, now) = (seen(&request, &asked), request.http.gateway.control().ports.clock.now());
    request.http.watches.prepare(&seen, listed.as_of, now);
    let line = asked.q.unwrap_or_default();
    Ok(page(&Page {
        frame: Frame::of("Live", "/console/tail", &request).await,
        again: format!("/console/tail?q={}", encoded(&line)),
        search: Line::of(&line).href(),
        stream: format!("/console/tail/stream?q={}&after={}", encoded(&line), listed.as_of.0),
        rows: rows(&listed.items, &request).await,
        line,
    }))
}

/// What goes on from there.
pub async fn stream(request: SignedInRequest, headers: HeaderMap, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    let asked = asked(&pairs);
    let session = request.signed_in.session.hash.clone();
    let watched = seen(&request, &asked);
    let place = place(&request.http, &request.principal)?;
    let goes_on = request.http.watches.goes_on(&watched, request.http.gateway.control().ports.clock.now());
    let query = if goes_on && headers.contains_key("last-event-id") {
        query_again(&request, &asked).await?
    } else {
        query(&request, &asked, Reading::LiveCalls).await?
    };
    let after = pairs.iter().find(|(name, _)| name == "after").map(|(_, value)| value.as_str());
    let after = beginning(&request.http, &headers, after, &watched).await?;
    let watch = Watch::new(&request.http, request.principal.clone(), Some(session), watched, query, after, place);
    let request = Arc::new(request);
    let events = watch.stream(Side::Staff, move |told| {
        let request = Arc::clone(&request);
        async move { to_json(&told, &request).await }
    });
    Ok(answer(events))
}

/// A call with the words and signs of the list; its tricks are visible already.
async fn to_json(told: &LiveMessage, request: &SignedInRequest) -> Value {
    let LiveMessage::Call(_, record) = told else { return Value::Null };
    let Some(row) = rows(std::slice::from_ref(&**record), request).await.pop() else { return Value::Null };
    json!({
        "id": row.id, "time": row.at.utc, "iso": row.at.iso, "class": row.chip.class, "sign": row.chip.sign, "word": row.chip.word,
        "code": row.code, "tool": row.tool, "vm": row.vm.map(|vm| vm.label), "text": row.act.line(), "by": row.by, "via": row.via,
        "account": row.account.map(|account| account.label),
    })
}
