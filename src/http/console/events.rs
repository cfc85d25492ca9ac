//! `GET /console/events`: what happened outside of calls: switches with who, why and for how long, keys, VMs, sign-ins, and
//! who read the log. A customer sees what affects its account, the staff's readings included.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde_json::json;

use super::activity::{Choice, Pairs};
use super::address::encoded;
use super::event_rows::{Row, folded, rows};
use super::format::FilterLink;
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::period::links;
use super::request::SignedInRequest;
use crate::core::code::Code;
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::http::event_filters::EventFilters;
use crate::tools::AdministrationQuery;

#[derive(Template)]
#[template(path = "events.html")]
struct Page {
    frame: Frame,
    is_staff: bool,
    kinds: Vec<Choice>,
    account: String,
    subject: String,
    from: String,
    to: String,
    periods: Vec<FilterLink>,
    is_narrow: bool,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

/// The page.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    let value = |wanted: &str| {
        let found = pairs.iter().find(|(name, value)| name == wanted && !value.trim().is_empty());
        found.map(|(_, value)| value.trim().to_owned())
    };
    let asked = EventFilters {
        account: value("account"),
        r#type: value("type"),
        subject: value("subject"),
        from: value("from"),
        to: value("to"),
        cursor: value("cursor"),
        ..EventFilters::default()
    };
    if let Some(why) = asked.fault() {
        return Err(Refusal::new(Code::ValidationFailed, why).into());
    }
    if request.is_staff() && asked.account.is_none() && request.reason.is_none() {
        return Err(PageError::NoReason { next: request.path.clone() });
    }
    let whose = asked.owner(&request.http.gateway.state());
    request.check_reader(Reading::Events, whose, json!(asked)).await?;
    let chosen = |kind: &str| Choice { id: kind.into(), label: words(kind), is_chosen: asked.r#type.as_deref() == Some(kind) };
    let kinds = AdministrationQuery::TYPES.iter().map(|kind| chosen(kind)).collect();
    let kept = |left_out: &[&str]| -> Vec<String> {
        let names = ["type", "account", "subject", "from", "to"].into_iter().filter(|name| !left_out.contains(name));
        names.filter_map(|name| Some(format!("{name}={}", encoded(&value(name)?)))).collect()
    };
    let href = |left_out: &[&str], more: Vec<String>| format!("/console/events?{}", [kept(left_out), more].concat().join("&"));
    let now = request.http.gateway.control().ports.clock.now();
    let periods = links(now, (asked.from.as_deref(), asked.to.as_deref()), |bounds| {
        href(&["from", "to"], bounds.iter().filter_map(|(name, day)| Some(format!("{name}={}", (*day)?))).collect())
    });
    let first = asked.cursor.is_some().then(|| href(&[], Vec::new()));
    let said = |name: &str| value(name).unwrap_or_default();
    let (account, subject, from, to) = (said("account"), said("subject"), said("from"), said("to"));
    let is_narrow = !kept(&[]).is_empty();
    // Whoever asks for readings gets each of them.
    let asks_for_readings = asked.r#type.as_deref() == Some("log_read");
    let listed = request.http.events(&request.principal, asked).await?;
    let rows = rows(&listed.items, &request).await?;
    Ok(page(&Page {
        frame: Frame::of("Events", "/console/events", &request).await,
        is_staff: request.is_staff(),
        kinds,
        account,
        subject,
        from,
        to,
        periods,
        is_narrow,
        rows: if asks_for_readings { rows } else { folded(rows) },
        first,
        next: listed.next_cursor.map(|cursor| href(&[], vec![format!("cursor={}", encoded(&cursor))])),
    }))
}

fn words(kind: &str) -> String {
    kind.replace('_', " ")
}
