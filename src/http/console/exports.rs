//! `/console/exports`: calls as files to take away. Making one is a recorded call; a download is the same file again.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use super::address::encoded;
use super::form::Posted;
use super::format::{Chip, DisplayTime, escape_hidden, group_digits};
use super::frame::{Frame, page};
use super::page_error::PageError;
use super::request::SignedInRequest;
use super::who::emails;
use crate::control::Reply;
use crate::core::call::Status;
use crate::core::reading::Reading;
use crate::core::time::Micros;
use crate::http::exports::{Made, check_reason, download, find, list};
use crate::tools::export::CREATE;

#[derive(Template)]
#[template(path = "exports.html")]
struct List {
    frame: Frame,
    is_staff: bool,
    rows: Vec<Row>,
    older: Option<String>,
}

/// Where the list goes on.
#[derive(Deserialize)]
pub struct Older {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "exports/export.html")]
struct One {
    frame: Frame,
    row: Row,
}

/// An export as it is shown.
struct Row {
    id: String,
    at: DisplayTime,
    by: String,
    chip: Chip,
    is_open: bool,
    code: Option<String>,
    file: Option<File>,
}

/// What can be downloaded, or could be.
struct File {
    name: String,
    line: String,
    count: String,
    bytes: String,
    sha256: String,
    as_of: String,
    until: DisplayTime,
    is_over: bool,
}

/// The list.
pub async fn show(request: SignedInRequest, Query(Older { cursor }): Query<Older>) -> Result<Response, PageError> {
    request.check_reader(Reading::Exports, Some(request.principal.account.clone()), json!({})).await?;
    let (made, next) = list(&request.http, &request.principal, cursor).await?;
    let (rows, older) = (rows(made, &request).await?, next.map(|cursor| format!("/console/exports?cursor={}", encoded(&cursor))));
    let frame = Frame::of("Exports", place(&request), &request).await;
    Ok(page(&List { frame, is_staff: request.is_staff(), rows, older }))
}

/// One of them.
pub async fn one(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    let call = id.parse().map_err(|_| PageError::NotFound)?;
    request.check_reader(Reading::ExportPage(call), Some(request.principal.account.clone()), json!({})).await?;
    let made = find(&request.http, &request.principal, &id).await?;
    let row = rows(vec![made], &request).await?.pop().ok_or(PageError::NotFound)?;
    Ok(page(&One { frame: Frame::of("Export", place(&request), &request).await, row }))
}

/// Makes one, by the tool.
pub async fn create(Posted { request, fields }: Posted) -> Result<Response, PageError> {
    let mut args = json!({ "form": fields.text("form") });
    for (name, text) in [("q", fields.text("q")), ("reason", request.reason.as_deref().unwrap_or_default())] {
        if !text.is_empty() {
            args[name] = text.into();
        }
    }
    match request.call(CREATE, args).await {
        Reply::Failed { refusal, .. } => Err(refusal.into()),
        reply => {
            let id = reply.call().ok_or(PageError::NotFound)?;
            Ok(Redirect::to(&format!("/console/exports/{id}")).into_response())
        }
    }
}

/// The file.
pub async fn file(request: SignedInRequest, Path(id): Path<String>) -> Result<Response, PageError> {
    request.http.gateway.check_exporter(&request.principal).await?;
    let made = find(&request.http, &request.principal, &id).await?;
    let may = |export| check_reason(&request.principal, &made.record, export, request.reason.as_deref()).is_ok();
    if !made.export.as_ref().is_none_or(may) {
        return Err(PageError::NoReason { next: format!("/console/exports/{}", encoded(&id)) });
    }
    Ok(download(&request.http, &request.principal, made, request.reason.as_deref()).await?)
}

fn place(request: &SignedInRequest) -> &'static str {
    if request.is_staff() { "/console/search" } else { "/console/activity" }
}

async fn rows(made: Vec<Made>, request: &SignedInRequest) -> Result<Vec<Row>, PageError> {
    let now = request.http.gateway.control().ports.clock.now();
    let emails = emails(request, &made.iter().filter_map(|made| made.record.user.parse().ok()).collect()).await?;
    Ok(made.into_iter().map(|made| row(made, &emails, now)).collect())
}

fn row(Made { record, export }: Made, emails: &BTreeMap<String, String>, now: Micros) -> Row {
    let file = export.map(|export| File {
        name: export.file(),
        line: if export.q.is_empty() { "everything".to_owned() } else { escape_hidden(&export.q) },
        count: group_digits(i64::try_from(export.count).unwrap_or(i64::MAX)),
        bytes: group_digits(i64::try_from(export.bytes).unwrap_or(i64::MAX)),
        sha256: escape_hidden(&export.sha256),
        as_of: group_digits(export.as_of.0),
        until: DisplayTime::of(Micros::read(&export.expires_at).unwrap_or_default(), now),
        is_over: export.is_over(now),
    });
    Row {
        id: record.call_id.to_string(),
        at: DisplayTime::of(record.at, now),
        by: emails.get(&record.user).cloned().unwrap_or(record.user),
        chip: Chip::of(record.status),
        is_open: !record.status.is_terminal() || record.status == Status::Succeeded && file.is_none(),
        code: record.code,
        file,
    }
}
