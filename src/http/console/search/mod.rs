//! `GET /console/search`: the staff's search over the calls of every account. The typed line is the whole of it: what the
//! form of fields, the links in the cells and the presets do is yield another line.
//!
//! INVARIANT: nothing is read before the reason is known (for more than one account), and the reading is written down with it.

mod facets;
mod found;
mod histogram;
mod landing;
pub mod line;
pub mod saved;
mod shorthand;
mod words;

use askama::Template;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::activity::{Pairs, query_at};
use super::address::encoded;
use super::callers::Callers;
use super::form_state::FormState;
use super::format::{FilterLink, escape_hidden};
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::period::periods;
use super::request::SignedInRequest;
use crate::core::code::Code;
use crate::core::id::Position;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::core::search::{Fault as Unreadable, Field, Search};
use crate::core::time::Micros;
use crate::http::call_filters::CallFilters;
use crate::tools::{ActivityPage, ActivityQuery};
use facets::Facet;
use found::{Found, found};
use histogram::Bars;
use line::Line;
use saved::Saved;

/// Bars of the histogram.
const BARS: u32 = 48;

/// Calls that are looked through for new ones.
const NEW: u32 = 200;

/// Items that are tried, one by one, to say which of them excludes everything.
const TRIED: usize = 8;

/// What is searched if nothing says from when on.
const USUAL: &str = "last:24h";

/// What the parts of the time that end now are called.
const PRESETS: [(&str, &str); 3] = [("last:15m", "15 minutes"), ("last:1h", "1 hour"), (USUAL, "24 hours")];

#[derive(Template)]
#[template(path = "search.html")]
struct Page {
    frame: Frame,
    line: String,
    reason: Option<String>,
    change_reason: String,
    callers: Vec<FilterLink>,
    periods: Vec<FilterLink>,
    facets: Vec<Facet>,
    trouble: Option<Trouble>,
    slow: Option<Slow>,
    bars: Option<Bars>,
    found: Vec<Found>,
    excludes: Vec<Excludes>,
    fresh: Option<String>,
    newest: String,
    is_later: bool,
    next: Option<String>,
    live: String,
    may_export: bool,
    saved: Vec<Saved>,
    draft: FormState,
    words: Vec<String>,
}

/// Why a line cannot be read, and a sign under where.
struct Trouble {
    why: String,
    line: String,
    caret: String,
}

/// What took too long, and how to find the same faster.
struct Slow {
    why: String,
    hint: String,
}

/// How many calls there would be without one item.
struct Excludes {
    item: String,
    href: String,
    count: String,
}

/// What the address says.
struct Given {
    line: Line,
    cursor: Option<String>,
    /// When the first of these pages was shown, which `last:` counts from on all of them.
    at: Option<Micros>,
}

/// The page.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    let now = request.http.gateway.control().ports.clock.now();
    let value = |wanted: &str| pairs.iter().find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value);
    let line = Line::of(value("q").map_or("", String::as_str));
    if let Some(named) = landing::named(&line) {
        check_named(&request, named).await?;
    }
    if let Some(place) = landing::of(&line, &request.http.gateway.state()) {
        return Ok(Redirect::to(&place).into_response());
    }
    if let Some(place) = shorthand::meant(&line, &request).await? {
        return Ok(Redirect::to(&place).into_response());
    }
    if let Some(line) = facets::merged(&line, &pairs) {
        return Ok(Redirect::to(&line.href()).into_response());
    }
    let line = if line.is_plain() { line.by(Callers::Agents) } else { line };
    let line = if line.is_timed() { line } else { line.over(USUAL) };
    let at = value("at").and_then(|text| text.parse().ok()).map(Micros).filter(|at| *at <= now);
    let given = Given { line, cursor: value("cursor").cloned(), at };
    let line = given.line.to_string();
    match request.http.read_typed(&request.principal, |known| Search::parse_of(&line, now, Some(known))) {
        Ok(search) => searched(&request, given, &search, now).await,
        Err(fault) => Ok(page(&blank(&request, &given.line, Some(trouble(&given.line, &fault)), &Search::default()).await)),
    }
}

/// Leave to be told what an id or the beginning of a key stands for: a look over all accounts, for a reason, and written down each
/// time before it is answered, for what was pasted is not in the record.
async fn check_named(request: &SignedInRequest, named: &str) -> Result<(), PageError> {
    check_said_why(request)?;
    Ok(request.check_reader(Reading::Search, None, json!({ "q": named })).await?)
}

/// The same for the names of accounts, all of which are in the record: once while the same is asked.
async fn check_names(request: &SignedInRequest, names: &str) -> Result<(), PageError> {
    check_said_why(request)?;
    let asked = json!({ "q": names, "reason": request.reason });
    Ok(request.http.questions.check(&request.http.gateway, &request.principal, Reading::Search, asked).await?)
}

fn check_said_why(request: &SignedInRequest) -> Result<(), PageError> {
    if request.reason.is_none() {
        return Err(PageError::NoReason { next: request.path.clone() });
    }
    Ok(())
}

async fn searched(request: &SignedInRequest, given: Given, search: &Search, now: Micros) -> Result<Response, PageError> {
    let Given { line, cursor, at } = given;
    let (at, activity) = (at.unwrap_or(now), &request.http.gateway.control().ports.activity);
    let is_later = cursor.is_some();
    let asked = CallFilters { q: Some(line.to_string()), cursor, ..CallFilters::default() };
    let query = query_at(request, &asked, Reading::Calls, at).await?;
    let shown = blank(request, &line, None, search).await;
    let listed = match in_time(activity.list(query.clone()).await)? {
        Ok(listed) => listed,
        Err(slow) => return Ok(page(&Page { slow: Some(slow), ..shown })),
    };
    let counted = if is_later { None } else { Some(in_time(activity.histogram(query.clone(), BARS).await)?) };
    let (bars, slow) = match counted.transpose() {
        Ok(counted) => (counted.map(|counted| Bars::of(&counted, &line, now)), None),
        Err(slow) => (None, Some(slow)),
    };
    let excludes = if listed.items.is_empty() && !is_later { excludes(request, &query, &line, at).await? } else { Vec::new() };
    let fresh = if is_later { fresh(request, &query, listed.as_of).await? } else { None };
    Ok(page(&Page {
        bars: bars.filter(|_| !listed.items.is_empty()),
        slow,
        excludes,
        fresh,
        next: next(&line, &listed, at),
        found: found(&listed.items, &line, request).await,
        is_later,
        ..shown
    }))
}

async fn blank(request: &SignedInRequest, line: &Line, trouble: Option<Trouble>, search: &Search) -> Page {
    let now = request.http.gateway.control().ports.clock.now();
    let choice = |line: &Line, text, is_chosen| FilterLink { href: line.href(), text, is_chosen };
    let callers = line.callers().unwrap_or(Callers::All);
    Page {
        frame: Frame::of("Search", "/console/search", request).await,
        line: line.to_string(),
        reason: request.reason.as_deref().map(escape_hidden),
        change_reason: format!("/console/reason?next={}", encoded(&request.path)),
        callers: Callers::ALL.map(|one| choice(&line.by(one), one.text(), callers == one)).into(),
        periods: times(now).iter().map(|(time, text)| choice(&line.over(time), text, line.has(time))).collect(),
        facets: facets::of(search),
        trouble,
        slow: None,
        bars: None,
        found: Vec::new(),
        excludes: Vec::new(),
        fresh: None,
        newest: line.href(),
        is_later: false,
        next: None,
        may_export: request.may(Scope::StaffExport),
        live: encoded(&line.to_string()),
        saved: saved::all(request).await,
        draft: FormState::default(),
        words: words::of(&request.http.gateway.control().catalogue),
    }
}

/// The page of a line that could not be saved, without looking for it again.
async fn unsaved(request: &SignedInRequest, line: &Line, draft: FormState) -> Response {
    let status = draft.status();
    (status, page(&Page { draft, ..blank(request, line, None, &Search::default()).await })).into_response()
}

/// The parts of the time that may be chosen, as items of the line.
fn times(now: Micros) -> Vec<(String, &'static str)> {
    let ending = PRESETS.map(|(time, text)| (time.to_owned(), text));
    let days = periods(now).into_iter().take(2).map(|day| (day.item(), day.text));
    let long = [("last:7d", "7 days"), ("created:>=1970-01-01", "all time")].map(|(time, text)| (time.to_owned(), text));
    ending.into_iter().chain(days).chain(long).collect()
}

/// What took too long is said on the page instead of an error; what else went wrong is one.
fn in_time<T>(found: Result<T, Refusal>) -> Result<Result<T, Slow>, PageError> {
    match found {
        Err(refusal) if refusal.code == Code::SearchTimedOut => {
            Ok(Err(Slow { why: refusal.message, hint: refusal.hint.unwrap_or_default() }))
        }
        other => Ok(Ok(other?)),
    }
}

fn next(line: &Line, listed: &ActivityPage, at: Micros) -> Option<String> {
    let cursor = listed.next_cursor.as_ref()?;
    Some(format!("{}&cursor={}&at={}", line.href(), encoded(cursor), at.0))
}

/// How many calls there are that came after `seen`; none if there are none.
async fn fresh(request: &SignedInRequest, query: &ActivityQuery, seen: Position) -> Result<Option<String>, PageError> {
    let query = ActivityQuery { cursor: None, limit: NEW, ..query.clone() };
    let listed = request.http.gateway.control().ports.activity.list(query).await?;
    let count = listed.items.iter().filter(|record| record.intent > seen).count();
    let more = if count == listed.items.len() && listed.next_cursor.is_some() { "+" } else { "" };
    Ok((count > 0).then(|| format!("{count}{more}")))
}

/// For each item of a line that finds nothing, how many calls the rest of it finds.
async fn excludes(request: &SignedInRequest, query: &ActivityQuery, line: &Line, at: Micros) -> Result<Vec<Excludes>, PageError> {
    let own = query.search.value(Field::Account);
    let mut told = Vec::new();
    for (item, rest) in line.lacking_one().take(TRIED) {
        let Ok(search) = Search::parse(&rest.to_string(), at) else { continue };
        // Nobody looks into other accounts without having said why.
        if own.is_some() && search.value(Field::Account) != own && request.reason.is_none() {
            continue;
        }
        let query = ActivityQuery { search, cursor: None, ..query.clone() };
        let counted = request.http.gateway.control().ports.activity.histogram(query, 1).await;
        // The others would take as long.
        let Ok(counted) = in_time(counted)? else { break };
        let rest = if rest.is_timed() { rest } else { rest.over("created:>=1970-01-01") };
        let more = if counted.capped { "+" } else { "" };
        told.push(Excludes { item: escape_hidden(item), href: rest.href(), count: format!("{}{more}", counted.counted) });
    }
    Ok(told)
}

fn trouble(line: &Line, fault: &Unreadable) -> Trouble {
    let text = line.to_string();
    let before: String = text.chars().take(fault.column.saturating_sub(1)).collect();
    Trouble {
        why: format!("Column {}: {}.", fault.column, escape_hidden(&fault.why)),
        caret: format!("{}^", " ".repeat(escape_hidden(&before).chars().count())),
        line: escape_hidden(&text),
    }
}
