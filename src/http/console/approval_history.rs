//! The held calls that people have answered, newest first: each answer is a recorded call of `approval_decide`.

use super::activity::rows;
use super::format::DisplayTime;
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::call::Status;
use crate::core::search::{Field, Search};
use crate::tools::{ActivityQuery, CallRecord};

/// Answers that are shown; the search has the others.
const MAX_LISTED: u32 = 20;

/// An answer.
pub struct Decided {
    /// When.
    pub at: DisplayTime,
    /// The call that was answered for.
    pub call: String,
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
    let listed = request.http.gateway.control().ports.activity.list(query).await?;
    let shown = rows(&listed.items, request).await;
    let answer = |(record, row): (&CallRecord, super::activity::Row)| {
        let argument = |name: &str| record.text.split_whitespace().find_map(|item| item.strip_prefix(name)).map(str::to_owned);
        Some(Decided {
            at: row.at,
            call: argument("id=")?,
            is_approved: argument("verdict=")? == "approve",
            by: row.by,
            answer: row.id,
        })
    };
    Ok(listed.items.iter().zip(shown).filter_map(answer).collect())
}
