//! Calls as the rows of a file: a table for spreadsheets, or a JSON document on each line.
//!
//! INVARIANT: the same calls are the same bytes. A cell that a spreadsheet would compute begins with an apostrophe instead:
//! log content is written by whoever calls.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::core::id::Position;
use crate::core::noun::vm::VM;
use crate::core::refusal::Refusal;
use crate::core::render_times::render_times;
use crate::core::time::Micros;
use crate::core::visible::escape_hidden;
use crate::tools::{Activity, ActivityQuery, CallRecord};

/// Calls that are read at once.
pub const PAGE: u32 = 200;

const COLUMNS: [&str; 13] =
    ["call_id", "at", "ended_at", "status", "code", "tool", "vm", "account", "credential", "via", "ip", "session", "text"];

/// What a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A table.
    Csv,
    /// A JSON document on each line.
    Jsonl,
}

impl Form {
    /// As it is written, and what the file's name ends with.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/x-ndjson",
        }
    }

    fn head(self) -> Vec<u8> {
        if self == Self::Csv { table([COLUMNS.map(str::to_owned)]) } else { Vec::new() }
    }

    fn rows(self, calls: &[CallRecord]) -> Vec<u8> {
        match self {
            Self::Csv => table(calls.iter().map(cells)),
            Self::Jsonl => calls.iter().map(|call| render_times(json!(call)).to_string() + "\n").collect::<String>().into(),
        }
    }
}

/// A file in pieces: the calls of a search, page by page, all as they were at one position.
pub struct Sheet {
    activity: Arc<dyn Activity>,
    form: Form,
    /// None after the last page.
    query: Option<ActivityQuery>,
    /// The position that all pages show; none before the first.
    as_of: Option<Position>,
    count: u64,
    bytes: u64,
    digest: Sha256,
}

impl Sheet {
    /// The file that `query` makes.
    #[must_use]
    pub fn new(activity: Arc<dyn Activity>, form: Form, query: ActivityQuery) -> Self {
        let query = Some(ActivityQuery { limit: PAGE, ..query });
        Self { activity, form, query, as_of: None, count: 0, bytes: 0, digest: Sha256::new() }
    }

    /// The next piece; none after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(mut query) = self.query.take() else { return Ok(None) };
        let found = self.activity.list(query.clone()).await?;
        let mut piece = if self.as_of.is_some() { Vec::new() } else { self.form.head() };
        piece.extend(self.form.rows(&found.items));
        self.as_of = Some(found.as_of);
        self.count += found.items.len() as u64;
        self.bytes += piece.len() as u64;
        self.digest.update(&piece);
        if found.next_cursor.is_some() {
            query.cursor = found.next_cursor;
            self.query = Some(query);
        }
        Ok(Some(piece))
    }

    /// The position that it shows.
    #[must_use]
    pub fn as_of(&self) -> Position {
        self.as_of.unwrap_or_default()
    }

    /// How many calls there were so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The size so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of all pieces so far, hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex::encode(self.digest.clone().finalize())
    }
}

fn table(rows: impl IntoIterator<Item = [String; 13]>) -> Vec<u8> {
    let mut sheet = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        // Writing to memory does not fail, and every row has as many cells.
        let _ = sheet.write_record(row.iter().map(|cell| defused(cell)));
    }
    sheet.into_inner().unwrap_or_default()
}

fn cells(record: &CallRecord) -> [String; 13] {
    let maybe = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        record.call_id.to_string(),
        record.at.rfc3339(),
        record.ended_at.map_or_else(String::new, Micros::rfc3339),
        record.status.as_str().to_owned(),
        maybe(&record.code),
        record.tool.clone(),
        maybe(&record.about(&VM).map(ToString::to_string)),
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
    if starts || hidden { format!("'{}", escape_hidden(cell)) } else { escape_hidden(cell) }
}
