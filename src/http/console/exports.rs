//! `/console/exports`: calls as files to take away. Making one is a recorded call; a download is the same file again.

use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::address::encoded;
use super::fault::Fault;
use super::form::Posted;
use super::frame::{Frame, page};
use super::shown::{Chip, When, grouped, visible};
use super::visit::Visit;
use crate::control::Reply;
use crate::core::call::Status;
use crate::core::time::Micros;
use crate::http::exports::{Made, check_reason, download, find, list};
use crate::tools::export::CREATE;

#[derive(Template)]
#[template(path = "exports.html")]
struct List {
    frame: Frame,
    is_staff: bool,
    rows: Vec<Row>,
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
    at: When,
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
    until: When,
    is_over: bool,
}

/// The list.
pub async fn show(visit: Visit) -> Result<Response, Fault> {
    visit.check_reader("exports", Some(visit.principal.account.clone()), json!({})).await?;
    let mut rows = Vec::new();
    for made in list(&visit.http, &visit.principal).await? {
        rows.push(row(made, &visit).await);
    }
    let frame = Frame::of("Exports", place(&visit), &visit).await;
    Ok(page(&List { frame, is_staff: visit.is_staff(), rows }))
}

/// One of them.
pub async fn one(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    visit.check_reader(&format!("exports/{id}"), Some(visit.principal.account.clone()), json!({})).await?;
    let made = find(&visit.http, &visit.principal, &id).await?;
    Ok(page(&One { frame: Frame::of("Export", place(&visit), &visit).await, row: row(made, &visit).await }))
}

/// Makes one, by the tool.
pub async fn create(Posted { visit, fields }: Posted) -> Result<Response, Fault> {
    let mut args = json!({ "form": fields.text("form") });
    for (name, text) in [("q", fields.text("q")), ("reason", visit.reason.as_deref().unwrap_or_default())] {
        if !text.is_empty() {
            args[name] = text.into();
        }
    }
    match visit.call(CREATE, args).await {
        Reply::Failed { refusal, .. } => Err(refusal.into()),
        reply => {
            let id = reply.call().ok_or(Fault::NotFound)?;
            Ok(Redirect::to(&format!("/console/exports/{id}")).into_response())
        }
    }
}

/// The file.
pub async fn file(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    visit.http.door.check_exporter(&visit.principal).await?;
    let made = find(&visit.http, &visit.principal, &id).await?;
    let may = |export| check_reason(&visit.principal, &made.record, export, visit.reason.as_deref()).is_ok();
    if !made.export.as_ref().is_none_or(may) {
        return Err(Fault::NoReason { next: format!("/console/exports/{}", encoded(&id)) });
    }
    Ok(download(&visit.http, &visit.principal, made, visit.reason.as_deref()).await?)
}

fn place(visit: &Visit) -> &'static str {
    if visit.is_staff() { "/console/search" } else { "/console/activity" }
}

async fn row(made: Made, visit: &Visit) -> Row {
    let now = visit.http.door.control().ports.clock.now();
    let Made { record, export } = made;
    let vault = &visit.http.door.control().ports.reader.vault;
    let email = match record.user.parse() {
        Ok(user) => vault.email(&user).await.ok().flatten(),
        Err(_) => None,
    };
    let file = export.map(|export| File {
        name: export.file(),
        line: if export.q.is_empty() { "everything".to_owned() } else { visible(&export.q) },
        count: grouped(i64::try_from(export.count).unwrap_or(i64::MAX)),
        bytes: grouped(i64::try_from(export.bytes).unwrap_or(i64::MAX)),
        sha256: visible(&export.sha256),
        as_of: grouped(export.as_of.0),
        until: When::of(Micros::read(&export.expires_at).unwrap_or_default(), now),
        is_over: export.is_over(now),
    });
    Row {
        id: record.call_id.to_string(),
        at: When::of(record.at, now),
        by: email.map_or(record.user, |email| visible(&email)),
        chip: Chip::of(record.status),
        is_open: !record.status.is_terminal() || record.status == Status::Succeeded && file.is_none(),
        code: record.code,
        file,
    }
}
