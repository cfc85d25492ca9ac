//! `GET /console/accounts`: every account, found by its name, an e-mail address of its people, or a VM. For staff who have
//! given their reason; each search is recorded with it.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;

use super::activity::Pairs;
use super::format::escape_hidden;
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::principal::Side;
use crate::http::account_search::{FoundAccount, LONGEST, find};

#[derive(Template)]
#[template(path = "accounts.html")]
struct Page {
    frame: Frame,
    q: String,
    reason: Option<String>,
    change_reason: String,
    rows: Vec<Row>,
    more: usize,
}

/// An account in the list.
struct Row {
    name: String,
    is_staffs: bool,
    found: FoundAccount,
}

/// The page.
pub async fn show(request: SignedInRequest, Query(pairs): Query<Pairs>) -> Result<Response, PageError> {
    if !request.is_staff() {
        return Err(PageError::NotFound);
    }
    if request.reason.is_none() {
        return Err(PageError::NoReason { next: request.path.clone() });
    }
    let asked = pairs.iter().find(|(name, _)| name == "q").map_or("", |(_, value)| value.trim());
    let q: String = asked.chars().take(LONGEST).collect();
    let found = find(&request.http, &request.principal, &q, request.reason.as_deref()).await?;
    let row = |found: FoundAccount| Row {
        name: found.name.as_deref().map_or_else(|| found.id.to_string(), escape_hidden),
        is_staffs: found.side == Side::Staff,
        found,
    };
    Ok(page(&Page {
        frame: Frame::of("Accounts", "/console/accounts", &request).await,
        reason: request.reason.as_deref().map(escape_hidden),
        change_reason: format!("/console/reason?next={}", super::address::encoded(&request.path)),
        q: escape_hidden(&q),
        rows: found.items.into_iter().map(row).collect(),
        more: found.more,
    }))
}
