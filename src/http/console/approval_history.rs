//! The held calls that people have answered, newest first: each answer is a recorded call of `approval_decide`.

use std::collections::HashMap;

use super::activity::{Row, rows};
use super::format::DisplayTime;
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::call::Status;
use crate::core::id::CallId;
use crate::core::search::{Field, Search};
use crate::tools::{ActivityQuery, CallRecord, public_argument};

/// Answers that are shown; the search has the others.
const MAX_LISTED: u32 = 20;

/// An answer.
pub struct Decided {
    /// When.
    pub at: DisplayTime,
    /// The call that was answered for.
    pub call: String,
    /// The call as lists show it, and how it stands now; none if it cannot be read any more.
    pub row: Option<Row>,
    /// What was answered.
    pub is_approved: bool,
    /// By whom.
    pub by: String,
    /// The call by which it was answered.
    pub answer: String,
}

/// The latest answers that this person may see.
pub async fn decided(request: &SignedInRequest) -> Result<Vec<Decided>, PageError> {
    let mut search = Search::default();
    for (field, value) in [(Field::Tool, "approval_decide"), (Field::Outcome, Status::Succeeded.as_str())] {
        search.only(field, value).map_err(|_| PageError::NotFound)?;
    }
    let query = ActivityQuery { visibility: request.visibility(), search, limit: MAX_LISTED, ..ActivityQuery::default() };
    let answers = request.http.gateway.control().ports.activity.list(query).await?;
    let shown = rows(&answers.items, request).await;
    let ids: Vec<String> =
        answers.items.iter().filter_map(|record| public_argument(&record.text, "id").map(str::to_owned)).collect();
    let mut calls = listed(request, &ids).await?;
    let answer = |(record, row): (&CallRecord, super::activity::Row)| {
        let call = public_argument(&record.text, "id").map(str::to_owned)?;
        Some(Decided {
            at: row.at,
            row: calls.remove(&call),
            call,
            is_approved: public_argument(&record.text, "verdict")? == "approve",
            by: row.by,
            answer: row.id,
        })
    };
    Ok(answers.items.iter().zip(shown).filter_map(answer).collect())
}

/// Calls as lists show them, by id, as far as whoever looks may see them.
pub async fn listed(request: &SignedInRequest, ids: &[String]) -> Result<HashMap<String, Row>, PageError> {
    let ids: Vec<CallId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let records = request.http.gateway.control().ports.activity.calls(&request.visibility(), &ids).await?;
    Ok(rows(&records, request).await.into_iter().map(|row| (row.id.clone(), row)).collect())
}
