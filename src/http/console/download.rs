//! `GET /console/activity.csv|jsonl`: every call that fits the filters, oldest pages last, streamed.
//!
//! INVARIANT: all pages show the log at the same position. A cell of a table that a spreadsheet would take for a formula
//! begins with an apostrophe instead: log content is written by whoever calls.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};
use serde_json::json;

use super::activity::{Pairs, query, read};
use super::fault::Fault;
use super::shown::{When, visible};
use super::visit::Visit;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::core::scope::Scope;
use crate::http::asked::LARGEST;
use crate::http::dated::dated;
use crate::tools::{Activity, ActivityQuery, CallRecord};

const COLUMNS: [&str; 13] =
    ["call_id", "at", "ended_at", "status", "code", "tool", "vm", "account", "credential", "via", "ip", "session", "text"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Table,
    Lines,
}

/// As a table.
pub async fn csv(visit: Visit, Query(pairs): Query<Pairs>) -> Result<Response, Fault> {
    download(&visit, &pairs, Form::Table).await
}

/// As JSON, a call on each line.
pub async fn jsonl(visit: Visit, Query(pairs): Query<Pairs>) -> Result<Response, Fault> {
    download(&visit, &pairs, Form::Lines).await
}

async fn download(visit: &Visit, pairs: &Pairs, form: Form) -> Result<Response, Fault> {
    if visit.is_staff() && !visit.may(Scope::StaffExport) {
        let text = "Your role may not take the log away.";
        return Err(Fault::Refused(Refusal::new(Code::ForbiddenRole, text)));
    }
    let mut query = query(visit, &read(pairs), "calls/download").await?;
    query.limit = LARGEST;
    let activity = Arc::clone(&visit.http.door.control().ports.activity);
    let (kind, name) = match form {
        Form::Table => ("text/csv; charset=utf-8", "attachment; filename=\"forelog-activity.csv\""),
        Form::Lines => ("application/x-ndjson", "attachment; filename=\"forelog-activity.jsonl\""),
    };
    // The first page decides the status; what fails later ends the download before its end.
    let first = page(&activity, &mut query, form).await?;
    let head = if form == Form::Table { table([COLUMNS.map(str::to_owned)]) } else { Bytes::new() };
    let opening = stream::iter([Ok(head), Ok(first.0)]);
    let rest = rest(first.1.then_some((activity, query)), form);
    let body = Body::from_stream(opening.chain(rest));
    Ok(([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, name), (CACHE_CONTROL, "no-store")], body).into_response())
}

/// The pages after the first one.
fn rest(from: Option<(Arc<dyn Activity>, ActivityQuery)>, form: Form) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold(from, move |state| async move {
        let (activity, mut query) = state?;
        match page(&activity, &mut query, form).await {
            Ok((bytes, more)) => Some((Ok(bytes), more.then_some((activity, query)))),
            Err(refusal) => Some((Err(std::io::Error::other(refusal.message)), None)),
        }
    })
}

/// A page, and whether there is another one, which `query` then asks for.
async fn page(activity: &Arc<dyn Activity>, query: &mut ActivityQuery, form: Form) -> Result<(Bytes, bool), Refusal> {
    let found = activity.list(query.clone()).await?;
    let bytes = match form {
        Form::Table => table(found.items.iter().map(cells)),
        Form::Lines => found.items.iter().map(line).collect::<String>().into(),
    };
    query.cursor = found.next_cursor;
    Ok((bytes, query.cursor.is_some()))
}

fn line(record: &CallRecord) -> String {
    format!("{}\n", dated(json!(record)))
}

fn table(rows: impl IntoIterator<Item = [String; 13]>) -> Bytes {
    let mut sheet = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        // Writing to memory does not fail, and every row has as many cells.
        let _ = sheet.write_record(row.iter().map(|cell| defused(cell)));
    }
    sheet.into_inner().unwrap_or_default().into()
}

fn cells(record: &CallRecord) -> [String; 13] {
    let time = |at| When::of(at, at).iso;
    let maybe = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        record.call_id.to_string(),
        time(record.at),
        record.ended_at.map(time).unwrap_or_default(),
        record.status.as_str().to_owned(),
        maybe(&record.code),
        record.tool.clone(),
        maybe(&record.vm),
        record.account.to_string(),
        record.credential.clone(),
        record.via.clone(),
        maybe(&record.ip),
        maybe(&record.session),
        record.text.clone(),
    ]
}

/// A cell that no spreadsheet computes.
fn defused(cell: &str) -> String {
    let starts = cell.trim_start().chars().next().is_some_and(|c| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠'));
    let hidden = cell.starts_with(['\t', '\r', '\n']);
    if starts || hidden { format!("'{}", visible(cell)) } else { visible(cell) }
}
