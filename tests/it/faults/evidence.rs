//! Reads what is left of a run: the database by SQL, without the product's store, and the provider's journal as text.
//!
//! INVARIANT: nothing is read through the product. SQLite is opened by Python's own library, PostgreSQL by a bare connection.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use super::history::{Effect, Entry, Head, History};
use crate::tools;

/// Rows as lines of JSON; bytes as PostgreSQL writes them.
const READ: &str = r"
import json, sqlite3, sys
rows = sqlite3.connect(sys.argv[1], timeout=20).execute(sys.argv[2])
names = [column[0] for column in rows.description]
for row in rows:
    print(json.dumps({n: '\\x' + v.hex() if isinstance(v, bytes) else v for n, v in zip(names, row)}))
";

/// Where the evidence is.
#[derive(Clone)]
pub struct Evidence {
    /// The nodes' data directory.
    pub data: PathBuf,
    /// PostgreSQL, if the rooms are there.
    pub database: Option<String>,
}

impl Evidence {
    /// The rows of a query on one room, as objects.
    pub async fn rows(&self, room: &str, sql: &str) -> Vec<Value> {
        match &self.database {
            Some(url) => read_postgres(url, room, sql).await,
            None => read_sqlite(&self.data.join(format!("{room}.db")), sql).await,
        }
    }

    /// What the log and the provider say; the clients' record is theirs to add.
    pub async fn gather(&self) -> History {
        let head = self.rows("log", "select position, at from log_head").await;
        let entries = self.rows("log", "select position, at, type, call, leaf from event order by position").await;
        let counting = self.rows("log", "select doc from state where name like 'run:%'").await;
        History {
            head: Head { position: int(&head[0], "position"), at: int(&head[0], "at") },
            entries: entries.iter().map(entry).collect(),
            open: self.open().await,
            counting: counting.iter().flat_map(|row| counted(&json(row, "doc"))).collect(),
            effects: effects(&self.data.join("sim")),
            ..History::default()
        }
    }

    /// Rows of open calls, of calls to reconcile, and of places on VMs that are taken.
    pub async fn open(&self) -> Vec<String> {
        let rows = self
            .rows("log", "select name from state where name like 'job:%' or name like 'unknown:%' or name like 'claim:%'")
            .await;
        rows.iter().map(|row| text(row, "name").to_owned()).collect()
    }

    /// The node that started last.
    pub async fn newest_node(&self) -> String {
        let sql = "select leaf from event where type = 'node_started' order by position desc limit 1";
        text(&json(&self.rows("log", sql).await[0], "leaf"), "node").to_owned()
    }

    /// How many open calls are a node's.
    pub async fn open_at(&self, node: &str) -> usize {
        let rows = self.rows("log", "select doc from state where name like 'job:%'").await;
        rows.iter().filter(|row| json(row, "doc")["node"] == node).count()
    }

    /// The newest position.
    pub async fn head(&self) -> i64 {
        int(&self.rows("log", "select position from log_head").await[0], "position")
    }

    /// How far the views are.
    pub async fn viewed(&self) -> i64 {
        int(&self.rows("views", "select position from cursor where view = 'calls'").await[0], "position")
    }

    /// All that the views hold, but for how far they are.
    pub async fn views(&self) -> BTreeMap<&'static str, Vec<Value>> {
        let mut views = BTreeMap::new();
        for (table, order) in [
            ("call", "intent"),
            ("subject", "subject, of_intent"),
            ("vm", "vm"),
            ("administration", "position"),
            ("owner", "subject"),
        ] {
            views.insert(table, self.rows("views", &format!("select * from {table} order by {order}")).await);
        }
        views
    }
}

async fn read_sqlite(file: &Path, sql: &str) -> Vec<Value> {
    let mut python = tokio::process::Command::new(tools::find("FORELOG_PYTHON"));
    let output = python.args(["-c", READ]).arg(file).arg(sql).output().await.expect("run Python");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

async fn read_postgres(url: &str, room: &str, sql: &str) -> Vec<Value> {
    let mut connection = PgConnection::connect(url).await.expect("connect");
    connection.execute(AssertSqlSafe(format!("set search_path = {room}"))).await.expect("a room");
    let rows = sqlx::query(AssertSqlSafe(format!("select row_to_json(r)::text from ({sql}) r")));
    let rows = rows.fetch_all(&mut connection).await.expect("rows");
    rows.iter().map(|row| serde_json::from_str(row.get(0)).expect("a row")).collect()
}

fn int(row: &Value, column: &str) -> i64 {
    row[column].as_i64().unwrap_or_else(|| panic!("no number {column} in {row}"))
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_else(|| panic!("no text {column} in {row}"))
}

fn json(row: &Value, column: &str) -> Value {
    let bytes = hex::decode(text(row, column).trim_start_matches("\\x")).expect("bytes");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// Every column is held against the leaf, which is what was hashed.
fn entry(row: &Value) -> Entry {
    let leaf = json(row, "leaf");
    for (column, field) in [("position", "position"), ("at", "at"), ("type", "type"), ("call", "call")] {
        let (column, field) = (&row[column], &leaf[field]);
        let of_a_claim = row["type"] == "claim_cleared" && column.is_null();
        assert!(column == field || of_a_claim, "the columns of {row} are not of its leaf {leaf}");
    }
    let call = row["call"].as_str().map(str::to_owned);
    Entry { position: int(row, "position"), at: int(row, "at"), kind: text(row, "type").to_owned(), call, leaf }
}

fn counted(row: &Value) -> Vec<(String, u64)> {
    let run = |run: &Value| Some((run["id"].as_str()?.to_owned(), run["counted"].as_u64()?));
    row["runs"].as_array().into_iter().flatten().filter_map(run).collect()
}

/// What the provider began to do, from its own journals. A line that was cut short was never answered.
fn effects(dir: &Path) -> Vec<Effect> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(dir).expect("the provider's directory") {
        let path = file.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let journal = std::fs::read_to_string(&path).expect("a journal");
        let lines: Vec<Value> = journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let changed = |begun: &Value| lines.iter().any(|line| line["record"] == "power_changed" && line["call"] == begun["call"]);
        for line in lines.iter().filter(|line| matches!(line["record"].as_str(), Some("power_begun" | "job_started"))) {
            found.push(Effect {
                call: text(line, "call").to_owned(),
                machine: text(line, "machine").to_owned(),
                at: int(line, "at"),
                done: line["record"] == "job_started" || changed(line),
            });
        }
    }
    found
}
